"""What can be asked of Driftgate: both transports are translations of these calls."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from service.api_keys import ApiKeyOperations, Authenticator
from service.argument_checks import (
    check_count,
    check_idempotency_key,
    check_range,
    check_texts,
)
from service.artifacts.stores import open_artifacts
from service.catalogues import list_benchmarks, list_models
from service.change_tailer import ChangeTailer
from service.checkpoint_files import CheckpointOperations
from service.comparisons import compare, plan_more_samples
from service.datasets import DatasetOperations
from service.errors import DriftgateError, ErrorCode, Violation
from service.gate_simulations import changed_gate, simulate_gate
from service.jobs.access import ANYONE, Caller
from service.jobs.catalogues import BenchmarkCatalogue, ModelCatalogue
from service.jobs.comparisons import Comparison, SamplePlan
from service.jobs.gate_simulations import GateSimulation
from service.jobs.gradient_fidelity import GradientFidelity
from service.jobs.job_queries import JobFilter, JobOrder
from service.jobs.metric_queries import LatestMetrics, MetricQuery, MetricSeriesSet
from service.jobs.parsing import parse_spec
from service.jobs.patches import JobPatch
from service.jobs.plans import Plan
from service.jobs.results import (
    DriftMap,
    Job,
    JobAttempts,
    JobBatch,
    JobChanges,
    JobCheckpoints,
    JobEventPage,
    JobMetrics,
    JobPage,
    JobResults,
    SamplePage,
    SpecWarning,
    VerdictChanges,
)
from service.jobs.spec import (
    AnyJobSpec,
    EvaluationJobSpec,
    ExportJobSpec,
    JobSpec,
    RegradeJobSpec,
)
from service.jobs.state import TERMINAL_STATES, JobState
from service.jobs.studies import Study, StudyEventPage, StudyPage, StudyPlan
from service.jobs.study_spec import StudySpec
from service.metric_queries import check_metric_names, query_metrics
from service.preflight.checks import Findings, check
from service.preflight.evaluation_checks import check_evaluation
from service.preflight.evaluation_plan import make_evaluation_plan, make_plan_without_model
from service.preflight.export import check_destination, find_exported
from service.preflight.memory_floor import evaluation_memory_floor_bytes, memory_floor_bytes
from service.preflight.plan import MeasuredRate, is_comparable, make_plan, measured_rate
from service.preflight.regrade import find_regraded
from service.preflight.warm_start import find_warm_start
from service.request_limits import RequestLimits
from service.settings import Settings
from service.storage.api_key_store import ApiKeyStore
from service.storage.dataset_store import DatasetStore
from service.storage.job_reads import NO_FILTER, JobMark
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.service_figures import ServiceFigures, read_service_figures
from service.storage.sessions import Database
from service.storage.study_store import FoundArm, StudyStore
from service.storage.webhook_store import WebhookStore
from service.studies.operations import StudyOperations
from service.task_queue import Doorbell, celery_app
from service.webhooks import WebhookOperations

__all__ = ["Operations", "build_operations", "parse_spec"]

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_COMPARED_JOBS = 20
MAX_BATCH_SIZE = 100
MAX_COUNT = 2**53  # beyond it JavaScript cannot count
DEFAULT_NUM_EVENTS = 500
DEFAULT_K = 8
DEFAULT_POWER = 0.8
NUM_JOBS_MEASURED = 50
NUM_JOBS_READ_AT_ONCE = 10


class _Found(NamedTuple):
    """What the checks say of a spec that may run: doubts, and memory that it surely needs, if known."""

    warnings: tuple[SpecWarning, ...]
    memory_bytes: int | None


class Operations:
    """Every error is a DriftgateError. Threads may share one."""

    def __init__(
        self,
        *,
        database: Database,
        job_store: JobStore,
        result_store: ResultStore,
        doorbell: Doorbell,
        api_key_store: ApiKeyStore,
        datasets: DatasetOperations,
        webhooks: WebhookOperations,
        study_store: StudyStore,
        settings: Settings,
    ) -> None:
        self.datasets = datasets
        self.webhooks = webhooks
        self._database = database
        self._job_store = job_store
        self._result_store = result_store
        self._doorbell = doorbell
        self._settings = settings
        self.authenticator = Authenticator(api_key_store, settings)
        self.api_keys = ApiKeyOperations(api_key_store, self.authenticator)
        self.limits = RequestLimits(max_streams=settings.max_streams)
        self.tailer = ChangeTailer(
            job_store, poll_s=settings.change_poll_s, heartbeat_s=settings.stream_heartbeat_s
        )
        self.checkpoint_files = CheckpointOperations(
            result_store=result_store, artifacts=open_artifacts(settings)
        )
        self.studies = StudyOperations(
            study_store=study_store,
            job_store=job_store,
            doorbell=doorbell,
            queue=settings.queue,
            check=lambda spec: FoundArm(*self._found(spec)),
            plan=self.plan_job,
        )

    def submit_job(
        self, spec: AnyJobSpec, *, idempotency_key: str | None = None, caller: Caller = ANYONE
    ) -> Job:
        """A QUEUED job; or the job that this key and this spec of the caller made before."""
        if idempotency_key is not None:
            check_idempotency_key(idempotency_key)
        try:
            found = self._found(spec)
            job = self._job_store.create(
                spec,
                warnings=found.warnings,
                queue=self._settings.queue,
                needs_memory_bytes=found.memory_bytes,
                idempotency_key=idempotency_key,
                caller=caller,
            )
        except DriftgateError:
            # A retried request is answered with its job, though what it names may be gone since.
            earlier = idempotency_key and self._job_store.made_before(
                spec, idempotency_key=idempotency_key, caller=caller
            )
            if not earlier:
                raise
            return earlier
        self._doorbell.ring(self._settings.queue)
        return job

    def plan_job(self, spec: AnyJobSpec) -> Plan:
        """What a spec would take that `submit_job` would accept; creates nothing.

        Raises what `submit_job` would.
        """
        if isinstance(spec, RegradeJobSpec | ExportJobSpec):
            self._found(spec)
            return make_plan_without_model(spec)
        if isinstance(spec, EvaluationJobSpec):
            evaluation_findings = check_evaluation(spec, self._settings)
            rate = self._device_rate(spec)
            return make_evaluation_plan(spec, evaluation_findings, rate=rate)
        return make_plan(spec, self._checked(spec), rate=self._device_rate(spec))

    def _device_rate(self, spec: JobSpec | EvaluationJobSpec) -> MeasuredRate | None:
        """The setting, else what the newest finished job of the same models reached."""
        if self._settings.device_flops is not None:
            return MeasuredRate(self._settings.device_flops, "DRIFTGATE_DEVICE_FLOPS")
        for job in islice(self._newest_succeeded(), NUM_JOBS_MEASURED):
            if is_comparable(spec, job):
                with suppress(DriftgateError):  # its models or problems may be gone
                    return measured_rate(job, self._plan_without_time(job.spec))
        return None

    def _newest_succeeded(self) -> Iterator[Job]:
        """A few at a time: one of the first is mostly enough, and a job may be large."""
        wanted, page_token = JobFilter(states=(JobState.SUCCEEDED,)), None
        while True:
            page = self._job_store.list_jobs(
                limit=NUM_JOBS_READ_AT_ONCE, page_token=page_token, wanted=wanted
            )
            yield from page.jobs
            page_token = page.next_page_token
            if page_token is None:
                return

    def _plan_without_time(self, spec: AnyJobSpec) -> Plan:
        if isinstance(spec, JobSpec):
            return make_plan(spec, check(spec, self._settings), rate=None)
        assert isinstance(spec, EvaluationJobSpec), "the other kinds are comparable with nothing"
        return make_evaluation_plan(spec, check_evaluation(spec, self._settings), rate=None)

    def _found(self, spec: AnyJobSpec) -> _Found:
        """Of the spec as far as it can be checked now; raises for what cannot run."""
        if isinstance(spec, RegradeJobSpec):
            find_regraded(spec, job_store=self._job_store, result_store=self._result_store)
            return _Found((), None)
        if isinstance(spec, ExportJobSpec):
            find_exported(spec, job_store=self._job_store, result_store=self._result_store)
            check_destination(spec.destination, settings=self._settings)
            return _Found((), None)
        if isinstance(spec, EvaluationJobSpec):
            evaluation_findings = check_evaluation(spec, self._settings)
            return _Found(
                evaluation_findings.warnings,
                evaluation_memory_floor_bytes(spec, evaluation_findings.model),
            )
        findings = self._checked(spec)
        return _Found(
            findings.warnings,
            memory_floor_bytes(spec, student=findings.student, teacher=findings.teacher),
        )

    def _checked(self, spec: JobSpec) -> Findings:
        if spec.warm_start is not None:
            find_warm_start(
                spec.warm_start,
                student=spec.student,
                job_store=self._job_store,
                result_store=self._result_store,
            )
        return check(spec, self._settings)

    def get_job(self, job_id: str) -> Job:
        return self._job_store.get(job_id)

    def job_version(self, job_id: str) -> int:
        """What grows with every change of the job: cheaper than the job."""
        return self._job_store.version(job_id)

    def has_told_all(self, job_id: str, *, after: int) -> bool:
        """Whether the job has ended and has no event after this seq: a stream would have nothing to say.

        Raises JOB_NOT_FOUND, and INVALID_ARGUMENT for a seq that the job has not come to.
        """
        mark = self._job_store.mark(job_id)
        check_range("after", after, low=0, high=mark.last_event_seq)
        return mark.state in TERMINAL_STATES and after == mark.last_event_seq

    def job_marks(self, job_ids: Sequence[str]) -> dict[str, JobMark]:
        """By id, of those of the jobs that are there."""
        check_count("job_id", job_ids, low=1, high=MAX_BATCH_SIZE, what="ids of jobs")
        return self._job_store.marks(job_ids)

    def get_jobs(self, job_ids: Sequence[str]) -> JobBatch:
        """Those of the jobs that are there, in this order; an id named twice is read once."""
        check_count("job_id", job_ids, low=1, high=MAX_BATCH_SIZE, what="ids of jobs")
        return self._job_store.get_batch(list(dict.fromkeys(job_ids)))

    def list_jobs(
        self,
        *,
        limit: int = DEFAULT_PAGE_SIZE,
        page_token: str | None = None,
        wanted: JobFilter = NO_FILTER,
        order: JobOrder = JobOrder.NEWEST,
    ) -> JobPage:
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        check_texts(model=[wanted.model or ""], label=[*wanted.labels, *wanted.labels.values()])
        return self._job_store.list_jobs(
            limit=limit, page_token=page_token, wanted=wanted, order=order
        )

    def list_changes(
        self, *, after: str | None = None, limit: int = DEFAULT_PAGE_SIZE
    ) -> JobChanges:
        """Jobs that changed after the token; without a token, the token of now."""
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self._job_store.changes(after=after, limit=limit)

    def list_events(
        self, job_id: str, *, after: int = 0, limit: int = DEFAULT_NUM_EVENTS
    ) -> JobEventPage:
        check_range("after", after, low=0, high=MAX_COUNT)
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self._job_store.events(job_id, after=after, limit=limit)

    def list_attempts(self, job_id: str) -> JobAttempts:
        return self._job_store.attempts(job_id)

    def cancel_job(self, job_id: str) -> Job:
        return self._job_store.request_cancel(job_id)

    def pause_job(self, job_id: str) -> Job:
        return self._job_store.request_pause(job_id)

    def resume_job(self, job_id: str) -> Job:
        job = self._job_store.request_resume(job_id)
        if job.state is JobState.QUEUED:
            self._doorbell.ring(self._settings.queue)
        return job

    def patch_job(self, job_id: str, patch: JobPatch, *, if_version: int | None = None) -> Job:
        return self._job_store.patch(
            job_id, labels=patch.labels, priority=patch.priority, if_version=if_version
        )

    def delete_job(self, job_id: str) -> None:
        self._job_store.delete(job_id)

    def metrics(
        self, job_id: str, *, names: Sequence[str] = (), after_update: int = 0
    ) -> JobMetrics:
        """Columns of the named metrics of the catalogue, or of all that were recorded."""
        check_metric_names("names", names)
        return self._result_store.metrics(job_id, names=names, after_update=after_update)

    def query_metrics(self, query: MetricQuery) -> MetricSeriesSet:
        """One thinned series for each job and each key."""
        return query_metrics(query, result_store=self._result_store)

    def latest_metrics(self, job_id: str) -> LatestMetrics:
        """The newest value of every metric of the job."""
        return self._result_store.latest_metrics(job_id)

    def drift_map(self, job_id: str, *, after_update: int = 0, max_rows: int = 400) -> DriftMap:
        return self._result_store.drift_map(job_id, after_update=after_update, max_rows=max_rows)

    def check_gate(self, job_id: str, changes: Mapping[str, object]) -> None:
        """Raises what `simulate_gate` raises for these changes, before it has looked at any update."""
        changed_gate(self._job_store.get(job_id), changes)

    def simulate_gate(self, job_id: str, changes: Mapping[str, object]) -> GateSimulation:
        """What the job's gate with these fields changed would have done to the updates that were kept."""
        return simulate_gate(self._job_store.get(job_id), changes, result_store=self._result_store)

    def gradient_fidelity(self, job_id: str) -> GradientFidelity:
        return self._result_store.gradient_fidelity(job_id)

    def results(self, job_id: str, *, include_problems: bool = False) -> JobResults:
        return self._result_store.results(job_id, include_problems=include_problems)

    def samples(
        self,
        job_id: str,
        *,
        limit: int = DEFAULT_PAGE_SIZE,
        page_token: str | None = None,
        stage: str | None = None,
        benchmark: str | None = None,
        problem_id: str | None = None,
        verdict: str | None = None,
    ) -> SamplePage:
        """By stage, benchmark, problem and number; each of the last four narrows the list."""
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        check_texts(
            stage=[stage or ""],
            benchmark=[benchmark or ""],
            problem_id=[problem_id or ""],
            verdict=[verdict or ""],
        )
        return self._result_store.samples(
            job_id,
            page_token=page_token,
            limit=limit,
            stage=stage,
            benchmark=benchmark,
            problem_id=problem_id,
            verdict=verdict,
        )

    def verdict_changes(self, job_id: str, *, limit: int = MAX_PAGE_SIZE) -> VerdictChanges:
        return self._result_store.verdict_changes(job_id, limit=limit)

    def compare_jobs(
        self, job_ids: Sequence[str], *, k: int = DEFAULT_K, stage: str | None = None
    ) -> Comparison:
        """The jobs against the first of them, by the evaluations that they have now."""
        check_count("job_id", job_ids, low=2, high=MAX_COMPARED_JOBS, what="ids of jobs")
        if len(set(job_ids)) < len(job_ids):
            raise DriftgateError(
                ErrorCode.INVALID_ARGUMENT,
                "A job is named twice; a comparison needs jobs that differ.",
                [Violation("job_id", ", ".join(job_ids)[:200], "ids that differ")],
            )
        jobs = [self._job_store.get(job_id) for job_id in job_ids]
        evaluations = [self._result_store.counted_evaluations(job.id) for job in jobs]
        return compare(jobs, evaluations, k=k, stage=stage)

    def plan_more_samples(
        self,
        job_id: str,
        *,
        difference: float,
        power: float = DEFAULT_POWER,
        k: int = DEFAULT_K,
        stage: str | None = None,
    ) -> SamplePlan:
        """Samples that would resolve a difference, reckoned from those that the job has."""
        plan = plan_more_samples(
            self._job_store.get(job_id),
            self._result_store.counted_evaluations(job_id),
            k=k,
            stage=stage,
            difference=difference,
            power=power,
        )
        if plan is None:
            of_stage = f" of stage {stage}" if stage else ""
            raise DriftgateError(
                ErrorCode.INVALID_ARGUMENT,
                f"Job {job_id} has no evaluation{of_stage} to plan from.",
                [Violation("stage", stage or "nothing", "a stage that the job was evaluated at")],
            )
        return plan

    def checkpoints(self, job_id: str) -> JobCheckpoints:
        return self._result_store.checkpoints(job_id)

    def plan_study(self, spec: StudySpec) -> StudyPlan:
        """What a study would take and could tell; creates nothing. Raises what `submit_study` would."""
        return self.studies.plan(spec)

    def submit_study(
        self, spec: StudySpec, *, idempotency_key: str | None = None, caller: Caller = ANYONE
    ) -> Study:
        """A running study; or the one that this key and this spec of the caller made before."""
        if idempotency_key is not None:
            check_idempotency_key(idempotency_key)
        return self.studies.create(spec, idempotency_key=idempotency_key, caller=caller)

    def list_studies(
        self, *, limit: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
    ) -> StudyPage:
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self.studies.list_studies(limit=limit, page_token=page_token)

    def list_study_events(
        self, study_id: str, *, after: int = 0, limit: int = DEFAULT_NUM_EVENTS
    ) -> StudyEventPage:
        check_range("after", after, low=0, high=MAX_COUNT)
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self.studies.events(study_id, after=after, limit=limit)

    def list_models(self) -> ModelCatalogue:
        return list_models(self._settings)

    def list_benchmarks(self) -> BenchmarkCatalogue:
        return list_benchmarks(self._settings)

    def service_figures(self) -> ServiceFigures:
        """What has not ended, who works and what waits, in all of the service."""
        return read_service_figures(self._database, live_within_s=self._settings.lease_s)

    @property
    def num_database_connections(self) -> int:
        """Connections to the database that this process uses at this moment."""
        return self._database.num_connections_in_use

    def close(self) -> None:
        """End the open streams, and ring what waits to be rung."""
        self.tailer.close()
        self._doorbell.close()


def build_operations(settings: Settings) -> Operations:
    """The operations on the database and the broker that the settings name."""
    database = Database(settings.resolved_database_url())
    return Operations(
        database=database,
        job_store=JobStore(database),
        result_store=ResultStore(database),
        doorbell=Doorbell(celery_app(settings)),
        api_key_store=ApiKeyStore(database),
        datasets=DatasetOperations(store=DatasetStore(database), settings=settings),
        webhooks=WebhookOperations(
            webhook_store=WebhookStore(database), allow_private=settings.webhook_allow_private
        ),
        study_store=StudyStore(database),
        settings=settings,
    )
