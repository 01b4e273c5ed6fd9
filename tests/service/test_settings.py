import pytest

from service.errors import DriftgateError, ErrorCode
from service.settings import check_bind


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_server_without_keys_may_listen_on_this_machine(settings_factory, host):
    check_bind(host, settings_factory())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "", "localhost.example"])
def test_a_server_that_others_can_reach_needs_a_key(settings_factory, host):
    with pytest.raises(DriftgateError) as caught:
        check_bind(host, settings_factory())
    assert caught.value.code is ErrorCode.UNSAFE_BIND
    check_bind(host, settings_factory(api_key_sha256=("0" * 64,)))
    check_bind(host, settings_factory(), has_stored_keys=True)
