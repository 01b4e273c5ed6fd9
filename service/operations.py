"""What can be asked of Driftgate: both transports are translations of these calls."""

from collections.abc import Sequence
from contextlib import suppress

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.catalog import Metric
from service.jobs.parsing import parse_spec
from service.jobs.plans import Plan
from service.jobs.results import (
    DriftMap,
    Job,
    JobCheckpoints,
    JobEventPage,
    JobMetrics,
    JobPage,
    JobResults,
)
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.preflight.checks import Findings, check
from service.preflight.plan import MeasuredRate, is_comparable, make_plan, measured_rate
from service.preflight.warm_start import find_warm_start
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from service.task_queue import Doorbell, celery_app

__all__ = ["Operations", "build_operations", "parse_spec"]

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
NUM_JOBS_MEASURED = 50


class Operations:
    """Every error is a DriftgateError. Threads may share one."""

    def __init__(
        self,
        *,
        job_store: JobStore,
        result_store: ResultStore,
        doorbell: Doorbell,
        settings: Settings,
    ) -> None:
        self._job_store = job_store
        self._result_store = result_store
        self._doorbell = doorbell
        self._settings = settings

    def submit_job(self, spec: JobSpec, *, idempotency_key: str | None = None) -> Job:
        """A QUEUED job; or the job that this key and this spec made before."""
        if idempotency_key is not None:
            _check_idempotency_key(idempotency_key)
        job = self._job_store.create(
            spec,
            warnings=self._checked(spec).warnings,
            queue=self._settings.queue,
            idempotency_key=idempotency_key,
        )
        self._doorbell.ring(self._settings.queue)
        return job

    def plan_job(self, spec: JobSpec) -> Plan:
        """What a spec would take that `submit_job` would accept; creates nothing.

        Raises what `submit_job` would.
        """
        findings = self._checked(spec)
        return make_plan(spec, findings, rate=self._device_rate(spec))

    def _checked(self, spec: JobSpec) -> Findings:
        """What can be known of the spec now; raises for what cannot run."""
        if spec.warm_start is not None:
            find_warm_start(
                spec.warm_start,
                student=spec.student,
                job_store=self._job_store,
                result_store=self._result_store,
            )
        return check(spec, self._settings)

    def _device_rate(self, spec: JobSpec) -> MeasuredRate | None:
        """The setting, else what the newest finished job of the same models reached."""
        if self._settings.device_flops is not None:
            return MeasuredRate(self._settings.device_flops, "DRIFTGATE_DEVICE_FLOPS")
        newest = self._job_store.list_jobs(
            limit=NUM_JOBS_MEASURED, page_token=None, states=[JobState.SUCCEEDED]
        )
        for job in newest.jobs:
            if is_comparable(spec, job):
                with suppress(DriftgateError):  # its models or problems may be gone
                    return measured_rate(job, check(job.spec, self._settings))
        return None

    def get_job(self, job_id: str) -> Job:
        return self._job_store.get(job_id)

    def list_jobs(
        self,
        *,
        limit: int = DEFAULT_PAGE_SIZE,
        page_token: str | None = None,
        states: Sequence[JobState] = (),
    ) -> JobPage:
        """Newest first; no `states` means all."""
        _check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self._job_store.list_jobs(limit=limit, page_token=page_token, states=states)

    def list_events(self, job_id: str, *, after: int = 0, limit: int = 500) -> JobEventPage:
        return self._job_store.events(job_id, after=after, limit=limit)

    def cancel_job(self, job_id: str) -> Job:
        return self._job_store.request_cancel(job_id)

    def metrics(
        self, job_id: str, *, names: Sequence[str] = (), after_update: int = 0
    ) -> JobMetrics:
        """Columns of the named metrics of the catalogue, or of all that were recorded."""
        for name in names:
            if name not in set(Metric):
                raise DriftgateError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"There is no metric {name[:100]!r}. The catalogue names those there are.",
                    [Violation("names", name[:100], ", ".join(Metric))],
                )
        return self._result_store.metrics(job_id, names=names, after_update=after_update)

    def drift_map(self, job_id: str, *, after_update: int = 0, max_rows: int = 400) -> DriftMap:
        return self._result_store.drift_map(job_id, after_update=after_update, max_rows=max_rows)

    def results(self, job_id: str, *, include_problems: bool = False) -> JobResults:
        return self._result_store.results(job_id, include_problems=include_problems)

    def checkpoints(self, job_id: str) -> JobCheckpoints:
        return self._result_store.checkpoints(job_id)

    def close(self) -> None:
        """Ring what waits to be rung."""
        self._doorbell.close()


def build_operations(settings: Settings) -> Operations:
    """The operations on the database and the broker that the settings name."""
    database = Database(settings.resolved_database_url())
    return Operations(
        job_store=JobStore(database),
        result_store=ResultStore(database),
        doorbell=Doorbell(celery_app(settings)),
        settings=settings,
    )


def _check_idempotency_key(key: str) -> None:
    if 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_CHARACTERS and key.isascii() and key.isprintable():
        return
    allowed = f"1 to {MAX_IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters"
    raise DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"The idempotency key has {len(key)} characters; allowed: {allowed}.",
        [Violation("idempotency_key", repr(key[:50]), allowed)],
    )


def _check_range(field: str, value: int, *, low: int, high: int) -> None:
    if not low <= value <= high:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"{field} is {value}, but must be from {low} to {high}.",
            [Violation(field, str(value), f"{low} to {high}")],
        )
