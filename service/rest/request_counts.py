"""Requests that this process has answered, by method, address and status, and how long they waited for the answer.

Counted by hand: the metric objects of prometheus_client take locks, and would cost twice as much. One event loop
answers all requests, so that one thread writes here.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from time import perf_counter
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.rest.access import OPEN_PATHS, OPEN_PREFIX

# Upper bounds of the histogram; a submission takes one to three milliseconds, a long poll up to a minute.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
UNMATCHED = "unmatched"
# In the scope of a request that is answered before the router looks at it: the template of its address.
TEMPLATE = "driftgate.template"


@dataclass(slots=True)
class _Durations:
    """By bucket, not cumulative; the last bucket is for what is longer than all bounds."""

    num_by_bucket: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def add(self, other: "_Durations") -> None:
        pairs = zip(self.num_by_bucket, other.num_by_bucket, strict=True)
        self.num_by_bucket = [one + more for one, more in pairs]
        self.sum_s += other.sum_s


class RequestCounts(Collector):
    """Of one application. Addresses are templates, so there are as many as there are routes."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, str, int], _Durations] = {}

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """One request whose answer began after so many seconds."""
        route = scope.get("route")
        template = _template(scope) if route is None else route.path_format
        key = (scope["method"], template, status)
        durations = self._durations.get(key) or self._first(key)
        durations.num_by_bucket[bisect_left(BOUNDS_S, seconds)] += 1
        durations.sum_s += seconds

    def collect(self) -> Iterator[Metric]:
        """May run in another thread than the requests."""
        num_requests: Counter[tuple[str, str, str]] = Counter()
        durations: defaultdict[tuple[str, str], _Durations] = defaultdict(_Durations)
        for (method, template, status), some in self._durations.copy().items():
            num_requests[method, template, f"{status // 100}xx"] += sum(some.num_by_bucket)
            durations[method, template].add(some)
        yield _requests_family(num_requests)
        yield _durations_family(durations)

    def _first(self, key: tuple[str, str, int]) -> _Durations:
        method, template, status = key
        known = (method if method in METHODS else OTHER_METHOD, template, status)
        return self._durations.setdefault(known, _Durations())


class CountedRequests:
    """Counts each request when its answer begins: a stream may go on for days."""

    def __init__(self, app: ASGIApp, *, counts: RequestCounts) -> None:
        self._app = app
        self._count = counts.count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        count = self._count
        began_s = perf_counter()
        has_begun = False

        def send_counted(message: Message) -> Any:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                count(scope, message["status"], perf_counter() - began_s)
            return send(message)

        try:
            await self._app(scope, receive, send_counted)
        except Exception:
            if not has_begun:  # then the framework answers
                count(scope, 500, perf_counter() - began_s)
            raise


def _template(scope: Scope) -> str:
    """Of a request that no endpoint of the API was found for."""
    template = scope.get(TEMPLATE)
    if template is not None:
        return str(template)
    path: str = scope["path"]
    if path in OPEN_PATHS:
        return path
    return f"{OPEN_PREFIX}{{path}}" if path.startswith(OPEN_PREFIX) else UNMATCHED


def _requests_family(num_requests: Counter[tuple[str, str, str]]) -> Metric:
    family = CounterMetricFamily(
        "driftgate_http_requests",
        "Requests that this process has answered, by the class of the status.",
        labels=("method", "route", "status"),
    )
    for labels, number in num_requests.items():
        family.add_metric(labels, number)
    return family


def _durations_family(durations: defaultdict[tuple[str, str], _Durations]) -> Metric:
    family = HistogramMetricFamily(
        "driftgate_http_request_duration_seconds",
        "Time until the answer began; a long poll with its wait, a stream until its first byte.",
        labels=("method", "route"),
    )
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    for labels, some in durations.items():
        cumulative = accumulate(some.num_by_bucket)
        family.add_metric(labels, list(zip(bounds, cumulative, strict=True)), some.sum_s)
    return family
