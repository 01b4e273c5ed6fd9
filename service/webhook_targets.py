"""Where webhooks may go: addresses that anyone on the internet could reach, unless the settings say otherwise."""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.shown_input import shown

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_HOST_CHARACTERS = 253

# The IANA registries of special-purpose addresses as of 2025, whatever this Python's `is_global` knows.
_SPECIAL_IPV4 = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Only this block is given out as global unicast. Outside it lie mapped and translated IPv4 (::ffff:0:0/96,
# 64:ff9b::/96, 64:ff9b:1::/48), link-local, unique local and multicast addresses.
_GLOBAL_IPV6 = ip_network("2000::/3")
_SPECIAL_IPV6 = tuple(
    ip_network(network)
    for network in (
        "2001::/23",  # of the IETF; Teredo, which holds IPv4, among them
        "2001:db8::/32",
        "2002::/16",  # 6to4, which holds IPv4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_NAME = re.compile(r"^(?!-)[A-Za-z0-9_\-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_\-]{1,63}(?<!-))*\.?$")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `host` is a name or a literal address without brackets."""

    scheme: str
    host: str
    port: int
    path_and_query: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str, *, allow_private: bool) -> Target:
    """The parts of a URL that webhooks may go to as far as can be said before its name is resolved.

    Raises INVALID_ARGUMENT for what is no such URL, WEBHOOK_TARGET_FORBIDDEN for plain http and for private
    addresses, both of which `allow_private` allows.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid(url, "brackets or a port that can be read") from None
    host = parts.hostname or ""
    if parts.scheme not in DEFAULT_PORTS:
        raise _invalid(url, "https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise _invalid(url, "no user name and no password; the signature says who sends")
    if "#" in url:
        raise _invalid(url, "no fragment; it would not be sent")
    if port == 0 or not _is_host(host):
        raise _invalid(url, "a host name or an address, and a port from 1 to 65535")
    if not allow_private:
        if parts.scheme != "https":
            raise _forbidden(url, "plain http is read by everyone on its way, use https")
        _check_host_is_public(url, host)
    path = parts.path or "/"
    return Target(
        scheme=parts.scheme,
        host=host,
        port=port or DEFAULT_PORTS[parts.scheme],
        path_and_query=f"{path}?{parts.query}" if parts.query else path,
    )


def is_public(address: str) -> bool:
    """Whether it is global unicast; anything that is no address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _SPECIAL_IPV4)
    return parsed in _GLOBAL_IPV6 and not any(parsed in network for network in _SPECIAL_IPV6)


def _check_host_is_public(url: str, host: str) -> None:
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        raise _forbidden(url, "localhost is this service's own machine")
    literal = _literal_address(host)
    if literal is not None and not is_public(str(literal)):
        raise _forbidden(url, f"{literal} is a private or otherwise special address")


def _literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """Also of the forms that only resolvers understand: 127.1, 0x7f000001, 2130706433."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _is_host(host: str) -> bool:
    if ":" in host:
        return _literal_address(host) is not None
    return len(host) <= MAX_HOST_CHARACTERS and _NAME.fullmatch(host) is not None


def _invalid(url: str, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"The webhook's url is {shown(url)}, but needs {allowed}.",
        [Violation("url", shown(url), allowed)],
    )


def _forbidden(url: str, reason: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.WEBHOOK_TARGET_FORBIDDEN,
        f"Webhooks may not go to {shown(url)}: {reason}. The operator of this service can allow it with "
        "DRIFTGATE_WEBHOOK_ALLOW_PRIVATE=true.",
        [Violation("url", shown(url), "https:// and an address that is not private")],
    )
