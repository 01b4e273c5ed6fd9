"""Results of jobs, and of jobs against each other, as tables."""

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.job_commands.display import safe, table
from service.jobs.comparisons import ComparedPair, Comparison, PairedFigures
from service.jobs.results import JobResults, PassEstimate

INTERVALS = ("other problems", "other samples")


def results_table(results: JobResults) -> Table:
    """pass@k of every evaluation, the mean over benchmarks, and the gain, each with both intervals."""
    lines = table(
        "benchmark", "stage", "k", "pass@k", *INTERVALS, right=("k", "pass@k", *INTERVALS)
    )
    for evaluation in results.evaluations:
        _add_estimates(lines, evaluation.benchmark, evaluation.stage, evaluation.pass_at)
    for mean in results.means:
        if len(mean.benchmarks) > 1:
            _add_estimates(lines, "mean", mean.stage, mean.pass_at)
    for gain in results.differences:
        _add_estimates(lines, gain.benchmark, "final − baseline", gain.pass_at, form="+.3f")
    return lines


def reverse_kl_table(results: JobResults) -> Table:
    """The student's distance to the teacher on held-out problems, before and after training."""
    numbers = ("nats a token", "standard error", "responses", "tokens")
    lines = table("benchmark", "stage", *numbers, "reverse KL by", right=numbers)
    for one in results.reverse_kls:
        lines.add_row(
            safe(one.benchmark),
            safe(one.stage),
            _nats(one.mean_nats, otherwise="not finite"),
            _nats(one.standard_error_nats, otherwise=""),
            f"{one.num_responses:,}",
            f"{one.num_tokens:,}",
            safe(one.estimator.replace("_", " ")),
        )
    return lines


def _nats(value: float | None, *, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.4f}"


def comparison_page(comparison: Comparison) -> RenderableType:
    """Each job minus the first: differences with both intervals, or why there are none."""
    return Group(
        *(part for pair in comparison.pairs for part in _pair_parts(pair, comparison)),
        safe(comparison.note),
    )


def _pair_parts(pair: ComparedPair, comparison: Comparison) -> Iterable[RenderableType]:
    names = {job.job_id: job.name or job.job_id for job in comparison.jobs}
    yield safe(
        f"{names[pair.job_id]} − {names[comparison.reference_job_id]}, pass@{comparison.k}",
        style="bold",
    )
    if not pair.comparable:
        yield Text("comparable: false", style="yellow")
        for reason in pair.reasons:
            yield safe(f"  {reason}")
        return
    columns = ("difference", *INTERVALS, "p", "p (Holm)", "wins", "losses", "ties", "resolvable")
    lines = table("benchmark", *columns, right=columns)
    for benchmark, figures in pair.benchmarks.items():
        lines.add_row(safe(benchmark), *_figures(figures))
    if pair.mean is not None and len(pair.benchmarks) > 1:
        lines.add_row("mean", *_figures(pair.mean))
    yield lines


def _figures(figures: PairedFigures) -> Iterable[str]:
    difference = figures.difference
    yield f"{difference.estimate:+.3f}"
    yield from _intervals(difference, "+.3f")
    yield f"{figures.p_value:.3g}"
    yield f"{figures.adjusted_p_value:.3g}"
    for count in (figures.wins, figures.losses, figures.ties):
        yield f"{count:,}"
    yield f"{figures.smallest_resolvable_difference:.3f}"


def _add_estimates(
    lines: Table,
    benchmark: str,
    stage: str,
    pass_at: Mapping[str, PassEstimate],
    *,
    form: str = ".3f",
) -> None:
    for k, value in pass_at.items():
        lines.add_row(
            safe(benchmark), stage, k, f"{value.estimate:{form}}", *_intervals(value, form)
        )


def _intervals(value: PassEstimate, form: str) -> tuple[str, str]:
    return (
        f"[{value.low:{form}}, {value.high:{form}}]",
        f"[{value.sampling_low:{form}}, {value.sampling_high:{form}}]",
    )
