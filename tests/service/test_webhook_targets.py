import pytest

from service.errors import DriftgateError, ErrorCode
from service.webhook_targets import Target, is_public, parse_target


def test_a_url_is_taken_apart():
    assert parse_target("https://Hooks.example.org/a/b?c=d", allow_private=False) == Target(
        scheme="https", host="hooks.example.org", port=443, path_and_query="/a/b?c=d"
    )


@pytest.mark.parametrize(
    ("url", "host_header"),
    [
        ("https://hooks.example.org", "hooks.example.org"),
        ("https://hooks.example.org:443/", "hooks.example.org"),
        ("https://hooks.example.org:8443/", "hooks.example.org:8443"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]"),
    ],
)
def test_the_host_header_names_the_port_only_where_it_is_unusual(url, host_header):
    assert parse_target(url, allow_private=False).host_header == host_header


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://127.0.0.1:8443/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://api.localhost/",
        "http://hooks.example.org/",
    ],
)
def test_private_literals_and_plain_http_are_forbidden_unless_allowed(url):
    with pytest.raises(DriftgateError, match="DRIFTGATE_WEBHOOK_ALLOW_PRIVATE") as caught:
        parse_target(url, allow_private=False)
    assert caught.value.code is ErrorCode.WEBHOOK_TARGET_FORBIDDEN
    assert parse_target(url, allow_private=True).host


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.org/",
        "hooks.example.org",
        "https://",
        "https://user@hooks.example.org/",
        "https://:password@hooks.example.org/",
        "https://hooks.example.org/#part",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:65536/",
        "https://hooks.example.org:port/",
        "https://hooks..example.org/",
        "https://-hooks.example.org/",
        f"https://{'a' * 64}.example.org/",
        "https://[::1/",
        "https://a[b]/",
    ],
)
def test_what_is_no_such_url_is_refused_even_where_private_ones_are_allowed(url):
    with pytest.raises(DriftgateError) as caught:
        parse_target(url, allow_private=True)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert [one.field for one in caught.value.violations] == ["url"]


@pytest.mark.parametrize("address", ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111"])
def test_global_unicast_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::7f00:1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "hooks.example.org",
        "",
    ],
)
def test_every_special_address_is_not(address):
    assert not is_public(address)
