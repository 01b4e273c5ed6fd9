"""The table of a paper: a line a job, a column a benchmark, each figure with its interval over other problems."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType

from service.job_commands.display import NOTHING, safe, table
from service.jobs import stages
from service.jobs.results import JobResults, PassEstimate

NOTE = (
    "Intervals are 95 %, over other problems of the kind; training-seed variance is not included. "
    "For differences use `driftgate compare`, which pairs by problem."
)


@dataclass(frozen=True, slots=True)
class JobWithResults:
    """A job by what it is called."""

    name: str
    results: JobResults


def results_by_job(jobs: Sequence[JobWithResults], *, k: int) -> RenderableType:
    """The first job's student before and its teacher stand for all, as far as they were evaluated."""
    benchmarks = list(
        dict.fromkeys(each.benchmark for job in jobs for each in job.results.evaluations)
    )
    columns = [*benchmarks, "mean"]
    titles = tuple(safe(column).plain for column in columns)
    lines = table(f"pass@{k}", *titles, right=titles)
    for name, results, stage in _lines(jobs):
        estimates = _estimates(results, stage, k=k)
        if estimates:
            lines.add_row(safe(name), *(_figure(estimates.get(column)) for column in columns))
    return Group(lines, safe(NOTE))


def _lines(jobs: Sequence[JobWithResults]) -> Iterator[tuple[str, JobResults, str]]:
    yield "student before", jobs[0].results, stages.BASELINE
    for job in jobs:
        yield job.name, job.results, stages.FINAL
    yield "teacher", jobs[0].results, stages.TEACHER


def _estimates(results: JobResults, stage: str, *, k: int) -> dict[str, PassEstimate]:
    """By benchmark, and the unweighted mean over all; without a k that was not asked for."""
    by_column = {
        each.benchmark: each.pass_at[str(k)]
        for each in results.evaluations
        if each.stage == stage and str(k) in each.pass_at
    }
    for mean in results.means:
        if mean.stage == stage and str(k) in mean.pass_at:
            by_column["mean"] = mean.pass_at[str(k)]
    return by_column


def _figure(estimate: PassEstimate | None) -> str:
    if estimate is None:
        return NOTHING
    return f"{estimate.estimate:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
