"""Secrets by their name, read on the worker when they are needed, and nowhere else."""

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec_fields import SecretRef
from service.settings import SECRET_PREFIX, Settings, secret_of_environment

MAX_SECRET_BYTES = (
    64 * 2**10
)  # a key of a cloud's service account is a JSON file of a few kilobytes
HIDDEN = "[secret]"


def secret_value(reference: SecretRef, *, settings: Settings, field: str) -> SecretStr:
    """From the worker's folder of secrets, else its environment; shows as asterisks wherever it is printed.

    Without the line's end behind it. `field` is the part of the spec that names the secret. Raises
    SECRET_NOT_FOUND, which never holds the value.
    """
    name = reference.secret
    text = _text_of_file(name, settings=settings, field=field)
    if text is None:
        text = secret_of_environment(name)
    if text is None:
        raise _refusal(name, "is not there", settings=settings, field=field)
    text = text.rstrip("\r\n")
    if not text or len(text) > MAX_SECRET_BYTES:
        reason = f"is empty or has more than {MAX_SECRET_BYTES:,} bytes"
        raise _refusal(name, reason, settings=settings, field=field)
    return SecretStr(text)


def token_value(reference: SecretRef, *, settings: Settings, field: str) -> SecretStr:
    """As `secret_value`, of a secret that goes into a header.

    What no header can carry is refused here: the library that sends it would print it.
    """
    value = secret_value(reference, settings=settings, field=field)
    if not re.fullmatch("[!-~]+", value.get_secret_value()):
        reason = "is there, but not one line of printable ASCII without blanks, as a token is"
        raise _refusal(reference.secret, reason, settings=settings, field=field)
    return value


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The longest secret first: one may be part of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, HIDDEN)
    return text


def _text_of_file(name: str, *, settings: Settings, field: str) -> str | None:
    """None where there is no such file."""
    if settings.secrets_dir is None:
        return None
    try:
        return _beginning(settings.secrets_dir / name).decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        # Not chained: it holds the bytes.
        raise _refusal(name, "is not UTF-8", settings=settings, field=field) from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise _refusal(name, reason, settings=settings, field=field) from error


def _beginning(path: Path) -> bytes:
    """As much as shows that a file is too long."""
    with path.open("rb") as file:
        return file.read(MAX_SECRET_BYTES + len("\r\n") + 1)


def _refusal(name: str, reason: str, *, settings: Settings, field: str) -> DriftgateError:
    folder = settings.secrets_dir
    file = (
        "a file (DRIFTGATE_SECRETS_DIR is not set)" if folder is None else f"file {folder / name}"
    )
    return DriftgateError(
        ErrorCode.SECRET_NOT_FOUND,
        f"Secret {name} of {field} {reason}. The worker looks for {file}, then for "
        f"{SECRET_PREFIX}{name} in its environment. Put it into one of them on the worker.",
        [Violation(field, name, "a secret that the worker has")],
    )
