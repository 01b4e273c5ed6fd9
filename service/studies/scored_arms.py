"""The runs of a study that can be compared, by arm, and why the others cannot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.jobs.state import JobState
from service.jobs.studies import DELETED, PENDING
from service.jobs.study_spec import REVERSE_KL, StudySpec
from service.jobs.study_verdicts import LeftOutRun
from service.statistics.counts import Counts
from service.statistics.study_components import mean_score
from service.storage.study_rows import RunRow
from service.storage.study_scores import Conditions, RunScores

# Of a run, the counts of its benchmarks in the order of their names.
RunCounts = Sequence[Counts]


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """One run with what it scored after training; nats to the teacher, None where not measured or not finite."""

    seed: int
    counts: RunCounts
    reverse_kl: float | None


@dataclass(frozen=True, slots=True)
class ScoredArms:
    """By arm and seed, in the order of the study's seeds."""

    by_arm: Mapping[str, Mapping[int, ScoredRun]]
    left_out: tuple[LeftOutRun, ...] = field(default=())

    def values(self, arm: str, metric: str) -> dict[int, float]:
        """By seed, of those that have the metric."""
        value_of = _reader_of(metric)
        found = {seed: value_of(run) for seed, run in self.by_arm[arm].items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def num_without(self, metric: str) -> int:
        """Of all arms' runs."""
        return sum(len(runs) - len(self.values(arm, metric)) for arm, runs in self.by_arm.items())

    def counts(self, arm: str, seeds: Sequence[int]) -> list[RunCounts]:
        return [self.by_arm[arm][seed].counts for seed in seeds]


def k_of(metric: str) -> int | None:
    """Of pass@k; None of the other metric."""
    return None if metric == REVERSE_KL else int(metric.removeprefix("pass@"))


def column(values: Mapping[int, float], seeds: Sequence[int]) -> NDArray[np.float64]:
    return np.array([values[seed] for seed in seeds], dtype=np.float64)


def score_arms(
    spec: StudySpec, runs: Sequence[RunRow], scores: Mapping[str, RunScores]
) -> ScoredArms:
    """Runs that answered other problems, or were sampled or graded otherwise than the first, are left out."""
    found: dict[tuple[str, int], ScoredRun] = {}
    left_out: list[LeftOutRun] = []
    reference: Mapping[str, Conditions] | None = None
    for run in runs:
        reason = _unfit(run, scores)
        if reason is None and run.job_id is not None:
            of_job = scores[run.job_id]
            conditions = {name: each.conditions for name, each in of_job.after.items()}
            reference = reference or conditions
            if conditions == reference:
                found[run.arm, run.seed] = ScoredRun(
                    seed=run.seed,
                    counts=[of_job.after[name].counts for name in sorted(of_job.after)],
                    reverse_kl=of_job.reverse_kl,
                )
            else:
                reason = "Its problems, sampling or grader differ from those of the other runs."
        if reason:
            left_out.append(LeftOutRun(arm=run.arm, seed=run.seed, reason=reason))
    return ScoredArms(
        by_arm={
            arm.name: {
                seed: found[arm.name, seed] for seed in spec.seeds if (arm.name, seed) in found
            }
            for arm in spec.arms
        },
        left_out=tuple(left_out),
    )


def _unfit(run: RunRow, scores: Mapping[str, RunScores]) -> str | None:
    """Why an ended run has no score; empty for one that has not ended, None for one that has it."""
    if run.state == DELETED:
        return "Its job was deleted."
    if run.state == JobState.FAILED:
        return f"Its job failed: {run.failure_code}."
    if run.state == JobState.CANCELLED:
        return "It was cancelled."
    if run.state == PENDING or run.state != JobState.SUCCEEDED:
        return ""
    has_scores = run.job_id is not None and scores[run.job_id].after
    return None if has_scores else "It has no evaluation after training."


def _reader_of(metric: str) -> Callable[[ScoredRun], float | None]:
    k = k_of(metric)
    if k is None:
        return lambda run: _finite(run.reverse_kl)
    return lambda run: mean_score(run.counts, k)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
