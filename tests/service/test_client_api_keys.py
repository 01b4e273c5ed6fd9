import hashlib

import pytest

from service.client import Client
from service.errors import DriftgateError
from service.jobs.access import Scope
from service.jobs.api_keys import ApiKeyRequest
from tests.service.running_service import running_service
from tests.service.scripted_service import SPEC


def test_api_keys_are_made_rotated_and_revoked(settings_factory, sqlite_url, unused_port):
    settings = settings_factory(
        database_url=sqlite_url, api_key_sha256=(hashlib.sha256(b"first").hexdigest(),)
    )
    with (
        running_service(settings, unused_port) as service,
        Client(service.url, api_key="first") as admin,
    ):
        made = admin.create_api_key(ApiKeyRequest(name="wall display", scope=Scope.READ))
        assert admin.api_keys().api_keys == (admin.api_key(made.api_key.id),)
        with Client(service.url, api_key=made.key) as reader:
            assert reader.current_caller().scope is Scope.READ
            with pytest.raises(DriftgateError, match="PERMISSION_DENIED"):
                reader.submit(SPEC)
        rotated = admin.rotate_api_key(made.api_key.id)
        assert rotated.key != made.key
        admin.revoke_api_key(rotated.api_key.id)
        assert admin.api_key(rotated.api_key.id).revoked_at is not None
        with (
            Client(service.url) as stranger,
            pytest.raises(DriftgateError, match="UNAUTHENTICATED"),
        ):
            stranger.list()
