"""The figures of the demo, computed from what the API answers about its finished jobs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from service.jobs.catalog import Metric
from service.jobs.loss_spec import Granularity
from service.jobs.results import (
    BenchmarkResult,
    Estimate,
    Job,
    JobMetrics,
    JobResults,
    ProblemCount,
)
from service.jobs.spec import JobSpec
from service.statistics.comparison import paired_estimate
from service.statistics.counts import Counts

SEED_NOTE = "training-seed variance not included"


class Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gain(Figures):
    """One pass@k of the student before and after training, and the paired difference."""

    before: Estimate
    after: Estimate
    difference: Estimate


class GateDispersion(Figures):
    """The normalised gate over all updates of a job; None where it was not recorded."""

    mean_std: float | None
    max_std: float | None
    min: float | None
    max: float | None


class Drift(Figures):
    """Drift of the sampled tokens, mean over all updates, nats."""

    mean: float | None
    mean_abs: float | None


class PhaseCost(Figures):
    tokens: int
    seconds: float


class Phases(Figures):
    """Response tokens and seconds of each phase; an update counts its tokens again in every epoch."""

    rollout: PhaseCost
    scoring: PhaseCost
    updates: PhaseCost
    evaluation: PhaseCost


class JobFigures(Figures):
    """One job of the demo; `seconds` is from its first claim to its end."""

    name: str
    job_id: str
    objective: str
    gate: str
    seconds: float
    pass_at_1: Gain
    pass_at_8: Gain
    gate_dispersion: GateDispersion
    drift: Drift
    phases: Phases


class PairFigures(Figures):
    """Gated minus ungated after training, on the same problems."""

    objective: str
    gated: str
    ungated: str
    pass_at_1: Estimate
    pass_at_8: Estimate
    note: str = SEED_NOTE


class DemoFigures(Figures):
    """The content of `demo.json`."""

    seed: int
    jobs: tuple[JobFigures, ...]
    pairs: tuple[PairFigures, ...]


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A distillation that succeeded; `results` include the counts of every problem."""

    job: Job
    results: JobResults
    metrics: JobMetrics

    @property
    def spec(self) -> JobSpec:
        assert isinstance(self.job.spec, JobSpec), "the demo distils"
        return self.job.spec


def demo_figures(finished: Sequence[FinishedJob], *, seed: int) -> DemoFigures:
    """All figures of the demo; a pair is a gated and an ungated job of one objective."""
    ungated = {
        one.spec.objective.type: one
        for one in finished
        if one.spec.gate.granularity is Granularity.NONE
    }
    pairs = [
        _pair_figures(one, ungated[one.spec.objective.type])
        for one in finished
        if one.spec.gate.granularity is not Granularity.NONE and one.spec.objective.type in ungated
    ]
    return DemoFigures(
        seed=seed, jobs=tuple(_job_figures(one) for one in finished), pairs=tuple(pairs)
    )


def _job_figures(finished: FinishedJob) -> JobFigures:
    job, metrics = finished.job, finished.metrics
    if job.started_at is None or job.finished_at is None:
        raise ValueError(f"job {job.id} has not ended")
    gate_std = _values(metrics, Metric.GATE_STD)
    return JobFigures(
        name=job.name or job.id,
        job_id=job.id,
        objective=finished.spec.objective.type,
        gate=finished.spec.gate.granularity.value,
        seconds=(job.finished_at - job.started_at).total_seconds(),
        pass_at_1=_gain(finished.results, k=1),
        pass_at_8=_gain(finished.results, k=8),
        gate_dispersion=GateDispersion(
            mean_std=_mean(gate_std),
            max_std=max(gate_std, default=None),
            min=min(_values(metrics, Metric.GATE_MIN), default=None),
            max=max(_values(metrics, Metric.GATE_MAX), default=None),
        ),
        drift=Drift(
            mean=_mean(_values(metrics, Metric.DRIFT_MEAN)),
            mean_abs=_mean(_values(metrics, Metric.DRIFT_MEAN_ABS)),
        ),
        phases=_phases(finished),
    )


def _gain(results: JobResults, *, k: int) -> Gain:
    before, after = _evaluation(results, "baseline"), _evaluation(results, "final")
    return Gain(
        before=before.pass_at[str(k)],
        after=after.pass_at[str(k)],
        difference=_difference(before, after, k=k),
    )


def _phases(finished: FinishedJob) -> Phases:
    metrics, evaluations = finished.metrics, finished.results.evaluations
    sampled_tokens = round(sum(_values(metrics, Metric.ROLLOUT_RESPONSE_TOKENS)))
    return Phases(
        rollout=PhaseCost(
            tokens=sampled_tokens, seconds=sum(_values(metrics, Metric.ROLLOUT_SECONDS))
        ),
        scoring=PhaseCost(
            tokens=sampled_tokens, seconds=sum(_values(metrics, Metric.SCORE_SECONDS))
        ),
        updates=PhaseCost(
            tokens=round(sum(_values(metrics, Metric.NUM_TOKENS))),
            seconds=sum(_values(metrics, Metric.UPDATE_SECONDS)),
        ),
        evaluation=PhaseCost(
            tokens=sum(evaluation.num_response_tokens for evaluation in evaluations),
            seconds=sum(evaluation.seconds for evaluation in evaluations),
        ),
    )


def _pair_figures(gated: FinishedJob, ungated: FinishedJob) -> PairFigures:
    without, with_gate = (_evaluation(one.results, "final") for one in (ungated, gated))
    return PairFigures(
        objective=gated.spec.objective.type,
        gated=gated.job.name or gated.job.id,
        ungated=ungated.job.name or ungated.job.id,
        pass_at_1=_difference(without, with_gate, k=1),
        pass_at_8=_difference(without, with_gate, k=8),
    )


def _difference(before: BenchmarkResult, after: BenchmarkResult, *, k: int) -> Estimate:
    if before.problems_sha256 != after.problems_sha256:
        raise ValueError("evaluations on different problems cannot be paired")
    counts_after = {problem.problem_id: problem for problem in after.problems}
    pairs = [(problem, counts_after[problem.problem_id]) for problem in before.problems]
    return paired_estimate(
        _counts([one for one, _ in pairs]), _counts([other for _, other in pairs]), k
    )


def _counts(problems: Sequence[ProblemCount]) -> Counts:
    return Counts(
        n=tuple(problem.n for problem in problems), c=tuple(problem.c for problem in problems)
    )


def _evaluation(results: JobResults, stage: str) -> BenchmarkResult:
    (evaluation,) = (one for one in results.evaluations if one.stage == stage)
    return evaluation


def _values(metrics: JobMetrics, metric: Metric) -> list[float]:
    column = metrics.columns.get(metric.value, ())
    return [value for value in column if value is not None and math.isfinite(value)]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
