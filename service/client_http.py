"""Requests of the Python client: sent again where that is safe, a refusal raised as the service's error."""

import ipaddress
import math
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from service.errors import DriftgateError, ErrorCode, Violation

Answer = TypeVar("Answer", bound=BaseModel)
QueryValue = str | int | float | Sequence[str]

# The service is busy or starts again: the same request may succeed soon.
PASSING_STATUSES = frozenset({429, 502, 503, 504})
# The request may not have arrived, or its answer was lost; a wrong address is not among these.
PASSING_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
FIRST_DELAY_S = 0.1
MAX_DELAY_S = 5.0


class Connection:
    """One service at `base_url`, such as `http://127.0.0.1:8400`; closes with its `with` block.

    timeout_s: of one request. retry_for_s: how long a request that may be repeated is sent again while the
    service is busy or away; 0 sends everything once. Raises INVALID_ARGUMENT for an api_key that no header can hold.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retry_for_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._retry_for_s = retry_for_s
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {_checked(api_key)}"} if api_key else {},
            timeout=timeout_s,
            transport=transport,
            # A proxy of the environment has no business between a machine and itself.
            trust_env=not _is_loopback(httpx.URL(base_url).host),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, answer_type: type[Answer], **query: QueryValue | None) -> Answer:
        return read(self._repeat(self._request("GET", path, query=query)), answer_type)

    def _get_all(self, path: str, answer_type: type[Answer]) -> Sequence[Answer]:
        """The answer of an address that answers with a list."""
        response = self._repeat(self._request("GET", path))
        return tuple(answer_type.model_validate(each) for each in response.json())

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue | None] | None = None,
        json: object = None,
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Request:
        return self._http.build_request(
            method,
            path,
            params={name: value for name, value in (query or {}).items() if value is not None},
            json=json,
            content=content,
            headers=headers,
            timeout=self._timeout_s if timeout_s is None else timeout_s,
        )

    def _once(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request that must not arrive twice. Raises the refusal of the service."""
        return _accepted(self._http.send(request))

    def _repeat(self, request: httpx.Request, *, for_s: float | None = None) -> httpx.Response:
        """The answer to a request that may arrive more than once; it is sent for `for_s` at most."""
        return _accepted(self._answer(request, for_s=for_s, stream=False))

    @contextmanager
    def _repeat_stream(
        self, request: httpx.Request, *, for_s: float | None = None
    ) -> Iterator[httpx.Response]:
        """As `_repeat`, with the body still to be read; what breaks in the body is not repeated."""
        response = self._answer(request, for_s=for_s, stream=True)
        try:
            if not response.is_success:
                response.read()
            yield _accepted(response)
        finally:
            response.close()

    def _answer(
        self, request: httpx.Request, *, for_s: float | None, stream: bool
    ) -> httpx.Response:
        """The first answer that is no passing one, or the last of those there was time for."""
        deadline = time.monotonic() + (self._retry_for_s if for_s is None else for_s)
        for delay_s in retry_delays_s():
            wait_s = delay_s
            try:
                response = self._http.send(request, stream=stream)
            except PASSING_ERRORS:
                if time.monotonic() + wait_s > deadline:
                    raise
            else:
                wait_s = max(delay_s, retry_after_s(response) or 0.0)
                is_passing = response.status_code in PASSING_STATUSES
                if not is_passing or time.monotonic() + wait_s > deadline:
                    return response
                response.close()
            time.sleep(wait_s)
        raise AssertionError("the delays have no end")


def job_path(job_id: str, part: str = "") -> str:
    return f"v1/jobs/{segment(job_id)}{part}"


def segment(name: str) -> str:
    """A name as one segment of a path, which it cannot leave."""
    return quote(name, safe="")


def read(response: httpx.Response, answer_type: type[Answer]) -> Answer:
    return answer_type.model_validate_json(response.content)


def retry_after_s(response: httpx.Response) -> float | None:
    """Of the header in seconds; None without it, and for a date, which no Driftgate sends."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def retry_delays_s() -> Iterator[float]:
    """Twice as long each time; at random around that, so that many clients do not come back at once."""
    delay_s = FIRST_DELAY_S
    while True:
        yield delay_s * random.uniform(0.5, 1.0)  # noqa: S311 nothing is kept secret by it
        delay_s = min(2 * delay_s, MAX_DELAY_S)


def _accepted(response: httpx.Response) -> httpx.Response:
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    raise _refusal(response)


def _refusal(response: httpx.Response) -> DriftgateError:
    """The error of a problem-details body; INTERNAL for an answer that is none, such as a proxy's."""
    try:
        problem = response.json()
        code, detail = problem["code"], problem["detail"]
        violations = [Violation(**violation) for violation in problem.get("violations", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        code, violations = ErrorCode.INTERNAL, []
        detail = f"{response.request.url} answered {response.status_code} without problem details."
    if code not in set(ErrorCode):
        code, detail = ErrorCode.INTERNAL, f"{code}: {detail}"
    return DriftgateError(ErrorCode(code), detail, violations, retry_after_s(response))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(api_key: str) -> str:
    """Without the blanks and line ends around it that files leave. What is wrong with it must not show it."""
    key = api_key.strip()
    if key.isascii() and key.isprintable():
        return key
    allowed = "printable ASCII characters"
    raise DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"The API key has characters that no key has; allowed: {allowed}.",
        [Violation("api_key", "a text that is not shown", allowed)],
    )
