"""When a run, and when an arm, counts as collapsed."""

from collections.abc import Iterable, Mapping, Sequence

from service.errors import ErrorCode
from service.jobs.state import JobState
from service.jobs.study_spec import StudySpec
from service.statistics.counts import Counts
from service.statistics.study_components import mean_score
from service.storage.study_rows import RunRow
from service.storage.study_scores import RunScores, ScoredBenchmark

# A fall that the samples of so small an evaluation make by themselves is none.
MIN_STANDARD_ERRORS = 2.0


def has_collapsed(run: RunRow, scores: RunScores, *, below: float) -> bool | None:
    """Of a run that has ended; None where it cannot be told.

    A loss that was not finite is a collapse, and so is a pass@1 after training that is below this share of what it was
    before, by more than the samples explain. The student that solved nothing before has nothing to lose.
    """
    if run.failure_code == ErrorCode.NON_FINITE_LOSS:
        return True
    names = sorted(scores.before.keys() & scores.after.keys())
    if run.state != JobState.SUCCEEDED or not names:
        return None
    counts_before, counts_after = (_counts(stage, names) for stage in (scores.before, scores.after))
    before, after = mean_score(counts_before, 1), mean_score(counts_after, 1)
    if before == 0.0:
        return None
    noise = _variance_of_no_change(counts_before, counts_after) ** 0.5
    return after < below * before and before - after > MIN_STANDARD_ERRORS * noise


def collapsed_arm(spec: StudySpec, runs: Iterable[RunRow]) -> str | None:
    """The first arm of which more than half of the study's seeds have collapsed."""
    collapsed = [run.arm for run in runs if run.collapsed]
    for arm in spec.arms:
        if 2 * collapsed.count(arm.name) > len(spec.seeds):
            return arm.name
    return None


def _counts(stage: Mapping[str, ScoredBenchmark], names: Iterable[str]) -> list[Counts]:
    return [stage[name].counts for name in names]


def _variance_of_no_change(before: Sequence[Counts], after: Sequence[Counts]) -> float:
    """Of the difference of the two means over benchmarks, were both drawn from one share of right samples."""
    total = 0.0
    for first, second in zip(before, after, strict=True):
        num_first, num_second = sum(first.n), sum(second.n)
        share = (sum(first.c) + sum(second.c)) / (num_first + num_second)
        total += share * (1.0 - share) * (1.0 / num_first + 1.0 / num_second)
    return total / len(before) ** 2
