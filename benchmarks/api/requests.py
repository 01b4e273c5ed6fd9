"""Clients, and what a request costs the server: where it waits for the next, and where there always is one."""

import http.client
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.api.processes import ServerProcess


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


# Makes a connection, and returns what sends one request on it, given a number that no other request has.
Connect = Callable[[], Callable[[int], object]]


def cost_of(
    server: ServerProcess,
    connect: Connect,
    *,
    rounds: int,
    num_requests: int,
    num_connections: int = 1,
) -> Cost:
    """On each connection one request after another.

    With one connection the server sleeps between two requests, and wakes up to cold caches. With several there always is
    a next one: what a request takes of a core that does nothing else.
    """
    senders = [connect() for _ in range(num_connections)]
    with ThreadPoolExecutor(num_connections) as threads:

        def send_all(first: int) -> None:
            def send_share(place: int) -> None:
                for number in range(first + place, first + num_requests, num_connections):
                    senders[place](number)

            list(threads.map(send_share, range(num_connections)))

        send_all(-num_requests)
        cpu_ms, wall_ms = [], []
        for round_ in range(rounds):
            cpu_before, before = server.cpu_ms(), time.perf_counter()
            send_all(round_ * num_requests)
            wall_ms.append((time.perf_counter() - before) * 1000 / num_requests)
            cpu_ms.append((server.cpu_ms() - cpu_before) / num_requests)
    return Cost(statistics.median(cpu_ms), statistics.median(wall_ms))
