"""The verdict of a study as tables: the contrast in a sentence, what was seen besides, and where variance comes from."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.job_commands.display import NOTHING, safe, table
from service.jobs.study_verdicts import ArmVerdict, StudyDifference, StudyVerdict, VarianceParts


def verdict_page(verdict: StudyVerdict) -> RenderableType:
    """What was registered first, and alone."""
    contrast = verdict.contrast
    parts: list[RenderableType] = [
        Text("Registered contrast", style="bold"),
        safe(contrast.reading) if contrast else Text("No run of both arms yet."),
        Text(),
        Text("Arms, over seeds", style="bold"),
        _arms(verdict.arms),
        Text(),
        Text("Exploratory: every arm minus the baseline", style="bold"),
        _differences(verdict.exploratory),
        Text(),
    ]
    parts += [
        safe(f"Left out: {one.arm}, seed {one.seed}. {one.reason}") for one in verdict.left_out
    ]
    parts += [safe(note) for note in verdict.notes]
    if not verdict.is_final:
        parts.insert(0, Text(f"The study is {verdict.state.value}: not final.", style="yellow"))
    return Group(*parts)


def _arms(arms: Iterable[ArmVerdict]) -> Table:
    columns = ("seeds", "mean", "sd", "sd of seeds", "sd of samples", "sd of problems", "collapsed")
    lines = table("arm", "metric", *columns, "95 % over seeds", right=columns)
    for arm in arms:
        for metric, one in arm.metrics.items():
            lines.add_row(
                safe(arm.arm),
                metric,
                f"{one.num_seeds}",
                f"{one.mean:.3f}",
                _number(one.sd),
                *_sds(one.parts),
                f"{arm.num_collapsed} of {arm.num_runs}",
                _interval(one.low, one.high, ".3f"),
            )
        if not arm.metrics:
            lines.add_row(
                safe(arm.arm),
                NOTHING,
                "0",
                *(NOTHING,) * 5,
                f"{arm.num_collapsed} of {arm.num_runs}",
            )
    return lines


def _differences(differences: Iterable[StudyDifference]) -> Table:
    columns = ("seeds", "difference", "p", "p (Holm)", "would be found")
    lines = table("arm", "minus", "metric", *columns, "95 % over seeds", "found", right=columns)
    for one in differences:
        lines.add_row(
            safe(one.arm),
            safe(one.minus),
            one.metric,
            f"{one.num_pairs}",
            f"{one.estimate:+.3f}",
            f"{one.p_value:.3g}",
            NOTHING if one.adjusted_p_value is None else f"{one.adjusted_p_value:.3g}",
            _number(one.smallest_detectable_difference),
            _interval(one.low, one.high, "+.3f"),
            _finding(one),
        )
    return lines


def _finding(one: StudyDifference) -> Text:
    if not one.can_resolve:
        return Text("too few seeds", style="yellow")
    if not one.is_found:
        return Text("no")
    return Text("higher" if one.estimate > 0 else "lower", style="green")


def _sds(parts: VarianceParts | None) -> tuple[str, str, str]:
    if parts is None:
        return NOTHING, NOTHING, NOTHING
    return _number(parts.seed_sd), _number(parts.sampling_sd), _number(parts.problem_sd)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None, form: str) -> str:
    return NOTHING if low is None or high is None else f"[{low:{form}}, {high:{form}}]"
