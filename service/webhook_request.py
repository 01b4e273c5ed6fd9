"""One signed POST to an address that was checked: the connection goes to that address and no other."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from service.errors import DriftgateError, without_user_info
from service.webhook_targets import Target, is_public, parse_target

TOTAL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 4.0
MAX_ADDRESSES_TRIED = 3

Resolver = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered, or why there is no answer. `retry_after_s`: what it asked for."""

    http_status: int | None
    error: str | None
    seconds: float
    retry_after_s: float | None = None


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    resolve: Resolver,
    allow_private: bool,
    ssl_context: ssl.SSLContext,
    timeout_s: float = TOTAL_TIMEOUT_S,
) -> Answer:
    """Raises nothing that the receiver or the network cause.

    The name is resolved here, once; where one of its addresses is private nothing is sent. Redirects are not
    followed, for they would lead to addresses that nobody checked. The body of the answer is not read.
    """
    started_s = time.monotonic()
    try:
        target = parse_target(url, allow_private=allow_private)
        addresses = _addresses(target, resolve, allow_private=allow_private)
        sending = _send(
            target, addresses, body, headers, ssl_context=ssl_context, timeout_s=timeout_s
        )
        response = asyncio.run(sending)
    except TimeoutError:
        return _unanswered(f"no answer within {timeout_s:g} s", started_s)
    except (DriftgateError, _RefusedError) as error:
        return _unanswered(getattr(error, "message", str(error)), started_s)
    except (httpx.HTTPError, OSError) as error:
        return _unanswered(f"{type(error).__name__}: {error}", started_s)
    return Answer(
        http_status=response.status_code,
        error=None if response.is_success else _refusal(response),
        seconds=time.monotonic() - started_s,
        retry_after_s=_retry_after_s(response.headers.get("retry-after", "")),
    )


def resolve_by_system(host: str, port: int) -> list[str]:
    """Every address of a name, in the system's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _RefusedError(Exception):
    """Nothing was sent, for a reason that the message says."""


def _addresses(target: Target, resolve: Resolver, *, allow_private: bool) -> Sequence[str]:
    try:
        addresses = resolve(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise _RefusedError(f"the name {target.host} cannot be resolved: {error}") from error
    private = [address for address in addresses if not is_public(address)]
    if private and not allow_private:
        raise _RefusedError(
            f"the name {target.host} resolves to {private[0]}, a private or otherwise special address; "
            "nothing was sent"
        )
    if not addresses:
        raise _RefusedError(f"the name {target.host} has no address")
    return addresses[:MAX_ADDRESSES_TRIED]


async def _send(
    target: Target,
    addresses: Sequence[str],
    body: bytes,
    headers: Mapping[str, str],
    *,
    ssl_context: ssl.SSLContext,
    timeout_s: float,
) -> httpx.Response:
    """Asynchronous for its timeout alone: httpx's own begin anew with every byte of a slow answer."""
    transport = httpx.AsyncHTTPTransport(verify=ssl_context, trust_env=False)
    timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
    # trust_env: a proxy of the environment would resolve and connect by itself.
    client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=timeout)
    async with asyncio.timeout(timeout_s), client:
        for address in addresses[:-1]:
            try:
                return await _send_to(client, target, address, body, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # such as an IPv6 address of a name on a host that has only IPv4
        return await _send_to(client, target, addresses[-1], body, headers)


async def _send_to(
    client: httpx.AsyncClient,
    target: Target,
    address: str,
    body: bytes,
    headers: Mapping[str, str],
) -> httpx.Response:
    """The URL names the address; the certificate and the Host header are of the name all the same."""
    request = client.build_request(
        "POST",
        httpx.URL(
            scheme=target.scheme,
            host=address,
            port=target.port,
            raw_path=target.path_and_query.encode("ascii"),
        ),
        content=body,
        headers={**headers, "Host": target.host_header},
        extensions={"sni_hostname": target.host.rstrip(".")},
    )
    response = await client.send(request, stream=True, follow_redirects=False)
    await response.aclose()
    return response


def _refusal(response: httpx.Response) -> str:
    if response.has_redirect_location:
        return (
            f"answered {response.status_code}, a redirect to {_without_secrets(response.headers['location'])!r}; "
            "redirects are not followed: register that address"
        )
    return f"answered {response.status_code}"


def _without_secrets(location: str) -> str:
    """The address that a receiver named, without its query, which may hold a token."""
    return without_user_info(location[:200]).partition("?")[0]


def _unanswered(error: str, started_s: float) -> Answer:
    return Answer(http_status=None, error=error, seconds=time.monotonic() - started_s)


def _retry_after_s(text: str) -> float | None:
    """Of the header's two forms, seconds and a date; None where it is neither."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
