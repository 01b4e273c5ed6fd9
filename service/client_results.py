"""What a job measured and scored, as the Python client reads it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.client_http import Connection, job_path
from service.jobs.comparisons import Comparison, SamplePlan
from service.jobs.gate_simulations import GateSimulation
from service.jobs.gradient_fidelity import GradientFidelity
from service.jobs.metric_queries import LatestMetrics, MetricSeriesSet, MetricX
from service.jobs.results import DriftMap, JobMetrics, JobResults, SamplePage, VerdictChanges


class ResultCalls(Connection):
    """Every call is one read."""

    def metrics(
        self, job_id: str, *, names: Iterable[str] = (), after_update: int = 0
    ) -> JobMetrics:
        """The named metrics, or all of them, of the updates after `after_update`."""
        return self._get(
            job_path(job_id, "/metrics"), JobMetrics, names=[*names], after_update=after_update
        )

    def metrics_query(
        self,
        job_ids: Iterable[str],
        keys: Iterable[str],
        *,
        x: MetricX | None = None,
        max_points: int | None = None,
        x_from: float | None = None,
        x_to: float | None = None,
    ) -> MetricSeriesSet:
        """A series in columns for each job and each key, thinned to `max_points` without losing a peak."""
        return self._get(
            "v1/metrics:query",
            MetricSeriesSet,
            job_id=[*job_ids],
            key=[*keys],
            x=x,
            max_points=max_points,
            x_from=x_from,
            x_to=x_to,
        )

    def latest_metrics(self, job_id: str) -> LatestMetrics:
        """The newest value of every metric that was recorded."""
        return self._get(job_path(job_id, "/metrics:latest"), LatestMetrics)

    def drift_map(
        self, job_id: str, *, after_update: int = 0, max_rows: int | None = None
    ) -> DriftMap:
        """Rows are thinned evenly to `max_rows`, and to 1,000,000 cells."""
        return self._get(
            job_path(job_id, "/drift-map"), DriftMap, after_update=after_update, max_rows=max_rows
        )

    def simulate_gate(
        self, job_id: str, changes: Mapping[str, Any] | None = None
    ) -> GateSimulation:
        """What the job's gate with these of its fields changed would have done to the updates that were kept.

        changes: as a spec has them, such as `{"granularity": "token", "strength": {"adaptive": 0.5}}`.
        """
        query = dict(changes or {})
        if isinstance(query.get("strength"), Mapping):
            query["adaptive"] = query.pop("strength").get("adaptive")
        return self._get(job_path(job_id, "/gate:simulate"), GateSimulation, **query)

    def gradient_fidelity(self, job_id: str) -> GradientFidelity:
        """What the job has measured so far; nothing where its spec asks for nothing."""
        return self._get(job_path(job_id, "/gradient-fidelity"), GradientFidelity)

    def results(self, job_id: str, *, include_problems: bool = False) -> JobResults:
        """The evaluations so far; `include_problems` adds the counts of every problem."""
        include = ["problems"] if include_problems else []
        return self._get(job_path(job_id, "/results"), JobResults, include=include)

    def samples(
        self,
        job_id: str,
        *,
        stage: str | None = None,
        benchmark: str | None = None,
        problem_id: str | None = None,
        verdict: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> SamplePage:
        """One page; its `next_page_token` asks for the next."""
        return self._get(
            job_path(job_id, "/samples"),
            SamplePage,
            stage=stage,
            benchmark=benchmark,
            problem_id=problem_id,
            verdict=verdict,
            page_size=page_size,
            page_token=page_token,
        )

    def verdict_changes(self, job_id: str) -> VerdictChanges:
        """Of a regrade; another job raises INVALID_ARGUMENT."""
        return self._get(job_path(job_id, "/verdict-changes"), VerdictChanges)

    def compare(
        self, job_ids: Sequence[str], *, k: int | None = None, stage: str | None = None
    ) -> Comparison:
        """The jobs against the first of them."""
        return self._get("v1/comparisons", Comparison, job_id=[*job_ids], k=k, stage=stage)

    def sample_plan(
        self,
        job_id: str,
        *,
        difference: float,
        power: float | None = None,
        k: int | None = None,
        stage: str | None = None,
    ) -> SamplePlan:
        """Samples a problem that would resolve the difference, from those that the job has."""
        return self._get(
            job_path(job_id, "/sample-plan"),
            SamplePlan,
            difference=difference,
            power=power,
            k=k,
            stage=stage,
        )
