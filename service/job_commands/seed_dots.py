"""The seeds of an arm as dots on one line of text, over the interval of their mean."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.text import Text

from service.jobs.study_verdicts import ArmFigures

NUM_CELLS = 40
DOT, SEVERAL, MEAN, WITHIN = "●", "◉", "┃", "─"


class Scale(NamedTuple):
    """The values at both ends of every line."""

    low: float
    high: float

    def cell(self, value: float) -> int:
        share = (value - self.low) / (self.high - self.low)
        return min(max(round(share * (NUM_CELLS - 1)), 0), NUM_CELLS - 1)


def scale_of(arms: Iterable[ArmFigures]) -> Scale | None:
    """Holds every seed and every interval; None where there is no arm."""
    ends = [
        end
        for one in arms
        for end in (one.least, one.greatest, one.low, one.high)
        if end is not None
    ]
    if not ends:
        return None
    low, high = min(ends), max(ends)
    return Scale(low, high) if high > low else Scale(low - 0.5, high + 0.5)


def seed_dots(figures: ArmFigures, scale: Scale) -> Text:
    cells = [" "] * NUM_CELLS
    if figures.low is not None and figures.high is not None:
        for place in range(scale.cell(figures.low), scale.cell(figures.high) + 1):
            cells[place] = WITHIN
    cells[scale.cell(figures.mean)] = MEAN
    for value in figures.values:
        place = scale.cell(value)
        cells[place] = SEVERAL if cells[place] in {DOT, SEVERAL} else DOT
    return Text("".join(cells))
