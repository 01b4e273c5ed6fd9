"""Signatures of webhooks as Standard Webhooks defines them; receivers verify with the same file."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence

SECRET_PREFIX = "whsec_"
NUM_SECRET_BYTES = 32
TOLERANCE_S = 300
ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


class InvalidSignatureError(ValueError):
    """The request does not come from who knows the secret, or comes too late; answer 400."""


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance_s: float = TOLERANCE_S,
    now_s: float | None = None,
) -> str:
    """The `webhook-id` of a request that was signed with the secret and is not older than the tolerance.

    body: exactly as it came, not parsed and written again. headers: of any case. now_s: seconds since 1970, the
    clock's where it is None. Raises InvalidSignatureError, and ValueError for what is no secret.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    missing = [
        name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not by_name.get(name)
    ]
    if missing:
        raise InvalidSignatureError(f"The request lacks the header {', '.join(missing)}.")
    timestamp_s = _timestamp(by_name[TIMESTAMP_HEADER])
    distance_s = (time.time() if now_s is None else now_s) - timestamp_s
    if abs(distance_s) > tolerance_s:
        raise InvalidSignatureError(
            f"The request was signed {abs(distance_s):.0f} s {'ago' if distance_s > 0 else 'from now'}; "
            f"allowed: {tolerance_s:g} s. It was held back and repeated, or the clocks differ."
        )
    delivery_id = by_name[ID_HEADER]
    expected = _signature(secret, delivery_id, timestamp_s, body).encode()
    # Every one is compared, in constant time: how long it takes says nothing about the right one.
    given = by_name[SIGNATURE_HEADER].split(" ")
    matches = [
        hmac.compare_digest(one.encode("utf-8", "surrogateescape"), expected) for one in given
    ]
    if not any(matches):
        raise InvalidSignatureError(
            "No signature of the request is of this secret and this body. Verify the body as it came."
        )
    return delivery_id


def signed_headers(
    body: bytes, *, delivery_id: str, timestamp_s: int, secrets_in_force: Sequence[str]
) -> dict[str, str]:
    """The three headers; one signature for each secret, in their order."""
    signatures = [_signature(secret, delivery_id, timestamp_s, body) for secret in secrets_in_force]
    return {
        ID_HEADER: delivery_id,
        TIMESTAMP_HEADER: str(timestamp_s),
        SIGNATURE_HEADER: " ".join(signatures),
    }


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(NUM_SECRET_BYTES)).decode()


def _signature(secret: str, delivery_id: str, timestamp_s: int, body: bytes) -> str:
    signed = f"{delivery_id}.{timestamp_s}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError(
            f"A secret is {SECRET_PREFIX} and base64, as it was shown; this is neither."
        )
    return key


def _timestamp(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise InvalidSignatureError(
            f"{TIMESTAMP_HEADER} is {text[:50]!r}, but must be whole seconds since 1970."
        )
    return int(text)
