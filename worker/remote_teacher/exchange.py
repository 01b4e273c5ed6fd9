"""Requests to a vLLM server, many at once and again while it is away; each answer is read as it comes.

Whatever the network and the server do is one of four things: an answer, a refusal that the same request would meet
again, an answer that is not what was asked for, or an outage that is waited for.
"""

import asyncio
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Generic, TypeVar

import httpx

from service.secret_values import without_secrets
from worker.attempt_end import StopRequestedError
from worker.remote_teacher.failures import invalid, unavailable

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
# How soon a stop is noticed.
WATCH_INTERVAL_S = 0.2
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
# What may pass: the server is starting, busy, restarted, or behind a proxy that has lost it.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_REASON_CHARACTERS = 400
MAX_ERROR_BYTES = 64 * 2**10

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Server:
    """`url` is the base, which ends in /v1; `model` the name that it serves the teacher by."""

    url: str
    model: str
    api_key: str | None = field(repr=False)
    max_concurrent_requests: int
    timeout_s: float
    patience_s: float
    stop: threading.Event
    report: Callable[[str, str], None]  # type and message of an event


@dataclass(frozen=True, slots=True)
class Request(Generic[Result]):
    """A POST of `body`, or a GET without; `path` is below the server's base, or with `//` below its root.

    read: from the answer's JSON to what is kept of it. Raises TEACHER_INVALID for what was not asked for.
    """

    path: str
    body: Mapping[str, object] | None
    max_answer_bytes: int
    read: Callable[[object], Result]
    refusals: frozenset[int] = frozenset()  # statuses that are one, though elsewhere they may pass


class RefusedError(Exception):
    """The server will not do this, however often it is asked; `reason` is in its own words."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class _AwayError(Exception):
    """No answer for now; `retry_after_s`: what the server asked for."""

    def __init__(self, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Round(Generic[Result]):
    """What one go at all waiting requests has brought."""

    results: dict[int, Result] = field(default_factory=dict)
    outage: _AwayError | None = None


def ask(server: Server, request: Request[Result]) -> Result:
    """As `ask_all`."""
    return ask_all(server, [request])[0]


def ask_all(server: Server, requests: Sequence[Request[Result]]) -> list[Result]:
    """What is read of each answer, in the order asked.

    Raises RefusedError, TEACHER_INVALID, StopRequestedError as soon as the attempt is to stop, and
    TEACHER_UNAVAILABLE where nothing was answered for as long as the server's patience says.
    """
    results: dict[int, Result] = {}
    away_since: float | None = None
    is_reported = False
    pause_s = FIRST_PAUSE_S
    while len(results) < len(requests):
        if server.stop.is_set():
            raise StopRequestedError
        waiting = [index for index in range(len(requests)) if index not in results]
        round_ = asyncio.run(_go(server, requests, waiting))
        results |= round_.results
        if round_.results:
            if is_reported:
                server.report(
                    "teacher_available", f"The teacher's server {server.url} answers again."
                )
            away_since, is_reported, pause_s = None, False, FIRST_PAUSE_S
        outage = round_.outage
        if outage is None:
            continue
        away_since = time.monotonic() if away_since is None else away_since
        if not round_.results and not is_reported:
            # Not where it answers some of the requests: it would be an event for each go.
            server.report("teacher_unavailable", _waiting_message(server, outage))
            is_reported = True
        wait_s = max(pause_s, min(outage.retry_after_s, MAX_PAUSE_S))
        if time.monotonic() + wait_s > away_since + server.patience_s:
            raise unavailable(server.url, outage, patience_s=server.patience_s) from None
        logger.warning("asked again in %.1f s: %s", wait_s, outage)
        if server.stop.wait(wait_s):
            raise StopRequestedError
        pause_s = min(MAX_PAUSE_S, 2 * pause_s)
    return [results[index] for index in range(len(requests))]


async def _go(
    server: Server, requests: Sequence[Request[Result]], waiting: Sequence[int]
) -> _Round[Result]:
    """Each waiting request once, as long as none fails: then those that have not begun wait for the next go."""
    round_: _Round[Result] = _Round()
    places = asyncio.Semaphore(server.max_concurrent_requests)
    # A proxy of the environment would connect by itself; a redirect would lead where nobody allowed.
    async with httpx.AsyncClient(
        verify=_ssl_context(),
        trust_env=False,
        follow_redirects=False,
        headers=_headers(server),
        timeout=httpx.Timeout(server.timeout_s, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=server.max_concurrent_requests),
    ) as client:
        tasks = [
            asyncio.create_task(
                _take_turn(
                    client, server, requests[index], index=index, places=places, round_=round_
                )
            )
            for index in waiting
        ]
        try:
            pending = set(tasks)
            while pending:
                done, pending = await asyncio.wait(
                    pending, timeout=WATCH_INTERVAL_S, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in done:
                    task.result()
                if server.stop.is_set():
                    raise StopRequestedError
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return round_


async def _take_turn(
    client: httpx.AsyncClient,
    server: Server,
    request: Request[Result],
    *,
    index: int,
    places: asyncio.Semaphore,
    round_: _Round[Result],
) -> None:
    async with places:
        if round_.outage is not None:
            return
        try:
            # httpx's own timeouts begin anew with every byte of a slow answer.
            async with asyncio.timeout(server.timeout_s):
                round_.results[index] = await _answer(client, server, request)
        except TimeoutError:
            round_.outage = _AwayError(
                f"no whole answer within {server.timeout_s:g} s (teacher.request_timeout_s)"
            )
        except httpx.HTTPError as error:
            round_.outage = _AwayError(_clean(server, f"{type(error).__name__}: {error}"))
        except _AwayError as error:
            round_.outage = error


async def _answer(client: httpx.AsyncClient, server: Server, request: Request[Result]) -> Result:
    send = partial(client.stream, "GET" if request.body is None else "POST", _url(server, request))
    async with send(json=request.body) if request.body is not None else send() as response:
        is_answer = response.status_code == 200
        limit = request.max_answer_bytes if is_answer else MAX_ERROR_BYTES
        content = await _content(response, limit=limit, is_answer=is_answer)
        if not is_answer:
            raise _error_of(server, request, response, content)
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        # A proxy's page, or a server that was cut off.
        raise _AwayError(f"it answered {request.path} with something that is not JSON") from None
    del content
    return request.read(answer)


async def _content(response: httpx.Response, *, limit: int, is_answer: bool) -> bytes:
    """Raises TEACHER_INVALID for an answer above the limit; of an error only the beginning is kept."""
    parts, num_bytes = [], 0
    async for part in response.aiter_bytes():
        num_bytes += len(part)
        if num_bytes > limit:
            if not is_answer:
                break
            raise invalid(
                f"its answer has more than {limit:,} bytes, which is more than the log-probs that "
                "were asked for can take"
            )
        parts.append(part)
    return b"".join(parts)


def _error_of(
    server: Server, request: Request[Result], response: httpx.Response, content: bytes
) -> Exception:
    status = response.status_code
    reason = _clean(server, _told(content))
    if status in PASSING_STATUSES and status not in request.refusals:
        asked = response.headers.get("retry-after", "")
        wanted_s = float(asked) if asked.isascii() and asked.isdigit() else 0.0
        return _AwayError(f"it answered {status}: {reason}", retry_after_s=wanted_s)
    if response.has_redirect_location:
        return RefusedError(
            status, "a redirect, which is not followed: name the address that it leads to"
        )
    return RefusedError(status, reason)


def _told(content: bytes) -> str:
    """What an error's body says: vLLM's `error.message`, or its text."""
    text = content.decode(errors="replace")
    try:
        told = json.loads(text)
    except ValueError:
        return text
    inner = told.get("error", told) if isinstance(told, dict) else told
    message = inner.get("message", inner) if isinstance(inner, dict) else inner
    return str(message)


def _clean(server: Server, text: str) -> str:
    """One short printable line without the key."""
    text = without_secrets(text, [server.api_key] if server.api_key else [])
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line[:MAX_REASON_CHARACTERS].rstrip(". ") or "no reason given"


@cache
def _ssl_context() -> ssl.SSLContext:
    """The system's authorities, or those of SSL_CERT_FILE; read once, for it takes longer than a request."""
    return ssl.create_default_context()


def _headers(server: Server) -> dict[str, str]:
    return {} if server.api_key is None else {"authorization": f"Bearer {server.api_key}"}


def _url(server: Server, request: Request[Result]) -> str:
    base = server.url.rstrip("/")
    if request.path.startswith("//"):
        return base.removesuffix("/v1") + request.path[1:]
    return base + request.path


def _waiting_message(server: Server, outage: Exception) -> str:
    return (
        f"The teacher's server {server.url} is away: {outage}. The job asks again for {server.patience_s:g} s "
        "(DRIFTGATE_TEACHER_PATIENCE_S), and then waits in its queue."
    )
