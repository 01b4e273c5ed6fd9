import pytest

from service.webhook_signature import (
    InvalidSignatureError,
    new_secret,
    signed_headers,
    verify_webhook,
)

# printf '%s' 'ID.1700000000.{"type":"webhook.test"}' |
#   openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f -binary | base64
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
DELIVERY_ID = "0199a8c2f3d07c4e9b1d5e6f7a8b9c0d"
AT_S = 1_700_000_000
BODY = b'{"type":"webhook.test"}'
SIGNATURE = "v1,HVzqCf/jJ9IWMZT08LYtjvkSArBryYvEmRfovhym2y4="
HEADERS = {
    "webhook-id": DELIVERY_ID,
    "webhook-timestamp": "1700000000",
    "webhook-signature": SIGNATURE,
}


def test_the_signature_is_the_one_that_openssl_computes():
    signed = signed_headers(
        BODY, delivery_id=DELIVERY_ID, timestamp_s=AT_S, secrets_in_force=[SECRET]
    )
    assert signed == HEADERS


def test_what_is_signed_is_verified_whatever_the_case_of_the_headers():
    headers = {name.title(): value for name, value in HEADERS.items()}
    assert verify_webhook(BODY, headers, SECRET, now_s=AT_S + 299) == DELIVERY_ID


def test_during_a_rotation_either_secret_verifies():
    newer = new_secret()
    headers = signed_headers(
        BODY, delivery_id=DELIVERY_ID, timestamp_s=AT_S, secrets_in_force=[newer, SECRET]
    )
    assert headers["webhook-signature"].split(" ")[1] == SIGNATURE
    for secret in (newer, SECRET):
        assert verify_webhook(BODY, headers, secret, now_s=AT_S) == DELIVERY_ID


@pytest.mark.parametrize(
    ("body", "changed", "now_s", "message"),
    [
        (BODY + b" ", {}, AT_S, "No signature"),
        (BODY, {"webhook-id": "another"}, AT_S, "No signature"),
        (BODY, {"webhook-timestamp": "1700000001"}, AT_S, "No signature"),
        (BODY, {"webhook-signature": SIGNATURE.replace("v1,", "v2,")}, AT_S, "No signature"),
        (BODY, {"webhook-signature": "v1,é \udcff"}, AT_S, "No signature"),
        (BODY, {"webhook-signature": ""}, AT_S, "lacks the header webhook-signature"),
        (BODY, {}, AT_S + 301, "301 s ago; allowed: 300 s"),
        (BODY, {}, AT_S - 301, "301 s from now"),
        (BODY, {"webhook-timestamp": "1e9"}, AT_S, "whole seconds"),
        (BODY, {"webhook-timestamp": "9" * 5000}, AT_S, "whole seconds"),
    ],
)
def test_anything_else_is_refused_with_the_reason(body, changed, now_s, message):
    with pytest.raises(InvalidSignatureError, match=message):
        verify_webhook(body, HEADERS | changed, SECRET, now_s=now_s)


def test_the_secret_of_another_is_refused():
    with pytest.raises(InvalidSignatureError, match="No signature"):
        verify_webhook(BODY, HEADERS, new_secret(), now_s=AT_S)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64"])
def test_what_is_no_secret_is_named_as_such(secret):
    with pytest.raises(ValueError, match="whsec_ and base64"):
        verify_webhook(BODY, HEADERS, secret, now_s=AT_S)


def test_a_new_secret_holds_32_bytes_and_is_new():
    # 32 bytes are 44 characters of base64.
    assert {len(new_secret()) for _ in range(3)} == {len("whsec_") + 44}
    assert len({new_secret() for _ in range(3)}) == 3
