"""/metrics: the figures of the service and of this process, as Prometheus scrapes them."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    Metric,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.errors import DriftgateError
from service.jobs.state import JobState
from service.jobs.studies import StudyState
from service.operations import Operations
from service.rest.access import METRICS_PATH
from service.rest.parameters import problem
from service.rest.request_counts import RequestCounts
from service.rest.threads import in_thread
from service.storage.service_figures import ServiceFigures

# With the five seconds that the look-up of a key may wait for a connection, less than the ten that Prometheus waits.
DATABASE_PATIENCE_S = 3.0

EXAMPLE = """\
# HELP driftgate_jobs Jobs that have not ended, by state.
# TYPE driftgate_jobs gauge
driftgate_jobs{state="queued"} 12.0
driftgate_jobs{state="running"} 2.0
"""

router = APIRouter(tags=["health"], responses={"default": problem("Any other error.")})


@router.get(
    METRICS_PATH,
    response_class=PlainTextResponse,
    summary="Figures for Prometheus",
    response_description="In Prometheus' text format.",
    responses={200: {"content": {"text/plain": {"example": EXAMPLE}}}},
)
async def get_metrics(request: Request) -> Response:
    """Jobs, workers and deliveries of the service, and the requests, streams and resources of this process.

    While the database does not answer, `driftgate_database_up` is 0 and the figures of the service are left out.
    What was measured in jobs is at `/v1/metrics`.
    """
    scrapes: Scrapes = request.app.state.scrapes
    text = await scrapes.scrape()
    headers = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
    return Response(text, headers=headers)


class Scrapes:
    """Of one application: several of them in one process share nothing."""

    def __init__(self, operations: Operations, counts: RequestCounts) -> None:
        self._operations = operations
        self._reading: asyncio.Task[ServiceFigures | None] | None = None
        self._of_process = CollectorRegistry()
        self._of_process.register(counts)
        ProcessCollector(registry=self._of_process)
        PlatformCollector(registry=self._of_process)
        streams = Gauge(
            "driftgate_open_streams",
            "Server-sent event streams that this process holds open.",
            registry=self._of_process,
        )
        streams.set_function(lambda: operations.limits.num_streams)
        connections = Gauge(
            "driftgate_database_connections_in_use",
            "Database connections that something in this process uses now.",
            registry=self._of_process,
        )
        connections.set_function(lambda: operations.num_database_connections)

    async def scrape(self) -> bytes:
        """All figures as text; without those of the service where the database does not answer in time."""
        figures = await self._service_figures()
        return await in_thread(generate_latest, _Scrape(self._of_process, figures))

    async def _service_figures(self) -> ServiceFigures | None:
        """Scrapes that come together share one reading, so that of a database that hangs no second thread waits."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        reading = self._reading
        await asyncio.wait({reading}, timeout=DATABASE_PATIENCE_S)
        return reading.result() if reading.done() else None

    async def _read(self) -> ServiceFigures | None:
        try:
            return await in_thread(self._operations.service_figures)
        except DriftgateError:  # it does not answer
            return None


@dataclass(frozen=True, slots=True)
class _Scrape(Collector):
    """figures: None where the database did not answer."""

    of_process: CollectorRegistry
    figures: ServiceFigures | None

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "driftgate_database_up",
            "1 where the database answered this scrape, else 0.",
            value=self.figures is not None,
        )
        if self.figures is not None:
            yield from _service_families(self.figures)
        yield from self.of_process.collect()


def _service_families(figures: ServiceFigures) -> Iterable[Metric]:
    return [
        _by_state("driftgate_jobs", "Jobs that have not ended, by state.", figures.num_jobs),
        GaugeMetricFamily(
            "driftgate_oldest_queued_job_age_seconds",
            "Time since the oldest of the queued jobs was submitted; 0 where none is queued.",
            value=figures.oldest_queued_age_s,
        ),
        GaugeMetricFamily(
            "driftgate_expired_leases",
            "Jobs whose worker did not renew its lease in time and that nobody has queued again yet.",
            value=figures.num_expired_leases,
        ),
        GaugeMetricFamily(
            "driftgate_workers",
            "Worker processes that looked for work within the time of a lease.",
            value=figures.num_live_workers,
        ),
        GaugeMetricFamily(
            "driftgate_workers_aside",
            "Those of driftgate_workers that claim nothing for a while, as jobs died on them.",
            value=figures.num_workers_aside,
        ),
        GaugeMetricFamily(
            "driftgate_webhook_deliveries_pending",
            "Deliveries of enabled webhooks that no receiver has accepted yet.",
            value=figures.num_pending_deliveries,
        ),
        GaugeMetricFamily(
            "driftgate_webhook_deliveries_due",
            "Those of driftgate_webhook_deliveries_pending that could be sent now.",
            value=figures.num_due_deliveries,
        ),
        _by_state(
            "driftgate_studies", "Studies that have not ended, by state.", figures.num_studies
        ),
    ]


def _by_state(
    name: str, documentation: str, numbers: Mapping[JobState, int] | Mapping[StudyState, int]
) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=("state",))
    for state, number in numbers.items():
        family.add_metric((state,), number)
    return family
