"""One client on one connection, and what a request costs the server."""

import http.client
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.api.processes import ServerProcess

WARM_UP_REQUESTS = 100


class HttpClient:
    """HTTP/1.1 on a connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expect: int = 200,
    ) -> tuple[bytes, http.client.HTTPMessage]:
        self._connection.request(method, path, body, dict(headers or {}))
        response = self._connection.getresponse()
        content = response.read()
        if response.status != expect:
            raise RuntimeError(f"{method} {path} answered {response.status}: {content[:300]!r}")
        return content, response.headers


@dataclass(frozen=True, slots=True)
class Cost:
    """Per request: CPU of the server in ms, median over the rounds; and the client's wall time."""

    cpu_ms: float
    wall_ms: float


def cost_of(
    server: ServerProcess, request: Callable[[int], object], *, rounds: int, num_requests: int
) -> Cost:
    """`request` is called with a number that no other call of it gets."""
    for number in range(WARM_UP_REQUESTS):
        request(-number - 1)
    cpu_ms, wall_ms = [], []
    for round_ in range(rounds):
        cpu_before, before = server.cpu_ms(), time.perf_counter()
        for number in range(num_requests):
            request(round_ * num_requests + number)
        wall_ms.append((time.perf_counter() - before) * 1000 / num_requests)
        cpu_ms.append((server.cpu_ms() - cpu_before) / num_requests)
    return Cost(statistics.median(cpu_ms), statistics.median(wall_ms))
