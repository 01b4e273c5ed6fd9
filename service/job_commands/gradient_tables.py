"""Gradient fidelity as a table: a line a weighting, a column a reuse depth, means over the measured steps."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from rich.console import Group, RenderableType
from rich.text import Text

from service.job_commands.display import NOTHING, safe, table
from service.jobs.gradient_fidelity import GradientFidelity, GradientMeasurement

EMPTY = (
    "No gradient was measured: the job's spec has no diagnostics.gradient_fidelity, "
    "or the job has not come to such a step yet."
)
HALVES = "fresh: half and half"


def gradient_page(fidelity: GradientFidelity) -> RenderableType:
    if not fidelity.measurements:
        return Text(EMPTY)
    steps = sorted({each.step for each in fidelity.measurements})
    by_depth: dict[int, list[GradientMeasurement]] = defaultdict(list)
    for each in fidelity.measurements:
        by_depth[each.depth].append(each)
    depths = sorted(by_depth)
    columns = [f"depth {depth}" for depth in depths]
    lines = table("weighting", *columns, right=tuple(columns))
    for weighting in _in_order(fidelity.measurements):
        lines.add_row(
            safe(weighting),
            *(_mean(_cosines(by_depth[depth], weighting=weighting)) for depth in depths),
        )
    lines.add_row(HALVES, *(_mean([one.half_cosine for one in by_depth[d]]) for d in depths))
    return Group(
        Text(
            "Cosine of each stale gradient with the full-vocabulary reverse-KL gradient on fresh responses, mean over "
            f"{'step' if len(steps) == 1 else 'steps'} {', '.join(map(str, steps))}."
        ),
        lines,
        Text(
            "The last line is the cosine r between the two halves of the fresh responses. Another fresh gradient of the "
            "same size would have about 2r / (1 + r): what is near that cannot be told from it."
        ),
    )


def _in_order(measurements: Iterable[GradientMeasurement]) -> list[str]:
    return list(dict.fromkeys(one.weighting for each in measurements for one in each.weightings))


def _cosines(measurements: Iterable[GradientMeasurement], *, weighting: str) -> list[float | None]:
    return [
        one.cosine for each in measurements for one in each.weightings if one.weighting == weighting
    ]


def _mean(values: Sequence[float | None]) -> str:
    """Over those that there are."""
    known = [value for value in values if value is not None]
    return f"{fmean(known):+.3f}" if known else NOTHING
