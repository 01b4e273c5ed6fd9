import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from service.rpc.generated.driftgate.v1 import api_keys_pb2 as pb
from tests.service.rpc.parity_worlds import Key, open_world
from tests.service.rpc.refusals import refusal_by_grpc

ADMIN = Key("Bearer an admin's key")


@pytest.fixture
def keys(settings, exit_stack):
    """Calls of an admin."""
    digest = hashlib.sha256(b"an admin's key").hexdigest()
    locked = settings.model_copy(update={"api_key_sha256": (digest,)})
    stub = open_world(locked, exit_stack).stubs.api_keys

    def call(method, request, key=ADMIN):
        return getattr(stub, method)(request, metadata=key.metadata)

    return call


def test_a_key_is_made_shown_once_and_can_do_what_its_scope_allows(keys):
    request = pb.CreateApiKeyRequest(name="a pipeline", max_queued_jobs=3, expires_in_days=2)
    made = keys("CreateApiKey", request)

    assert made.api_key.scope == pb.SCOPE_WRITE
    assert made.key.startswith(made.api_key.key_start)
    assert made.api_key.max_queued_jobs == 3
    assert not made.api_key.HasField("max_streams")
    lifetime = made.api_key.expires_at.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < lifetime <= timedelta(days=2)
    read = keys("GetApiKey", pb.GetApiKeyRequest(key_id=made.api_key.id))
    assert read.api_key == made.api_key
    assert list(keys("ListApiKeys", pb.ListApiKeysRequest()).api_keys) == [made.api_key]

    itself = keys("GetCurrentCaller", pb.GetCurrentCallerRequest(), Key(f"Bearer {made.key}"))
    assert (itself.scope, itself.max_queued_jobs) == (pb.SCOPE_WRITE, 3)
    assert itself.caller_id == made.api_key.caller_id


def test_a_key_is_replaced_and_revoked(keys):
    made = keys("CreateApiKey", pb.CreateApiKeyRequest(name="a pipeline", scope=pb.SCOPE_READ))
    rotation = pb.RotateApiKeyRequest(key_id=made.api_key.id, grace_s=0)
    rotated = keys("RotateApiKey", rotation)

    assert rotated.key != made.key
    assert rotated.api_key.caller_id == made.api_key.caller_id
    ask = pb.GetCurrentCallerRequest()
    _, refusal = refusal_by_grpc(lambda: keys("GetCurrentCaller", ask, Key(f"Bearer {made.key}")))
    assert refusal.code == "UNAUTHENTICATED"
    assert keys("GetCurrentCaller", ask, Key(f"Bearer {rotated.key}")).scope == pb.SCOPE_READ
    for _ in range(2):
        keys("RevokeApiKey", pb.RevokeApiKeyRequest(key_id=rotated.api_key.id))
    _, refusal = refusal_by_grpc(
        lambda: keys("GetCurrentCaller", ask, Key(f"Bearer {rotated.key}"))
    )
    assert refusal.code == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "k", "scope": 9}, "scope"),
        ({"name": "k", "max_streams": 0}, "max_streams"),
        ({"name": "k", "expires_at": Timestamp(seconds=2**60)}, "expires_at"),
        (
            {"name": "k", "expires_at": Timestamp(seconds=1), "expires_in_days": 1},
            "expires_in_days",
        ),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_the_field(keys, fields, field):
    _, refusal = refusal_by_grpc(lambda: keys("CreateApiKey", pb.CreateApiKeyRequest(**fields)))

    assert (refusal.code, refusal.fields) == ("INVALID_ARGUMENT", [field])
