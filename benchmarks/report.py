"""The rows of a report: what was measured, its target, and whether it holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a figure: from above unless `at_least`."""

    bound: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `target` and `holds` are None where there is no target."""

    name: str
    value: float | str
    unit: str
    target: float | None
    holds: bool | None


def judged_row(name: str, value: float | str, unit: str, targets: Mapping[str, Target]) -> Row:
    """A figure, judged by its target where it has one."""
    target = targets.get(name)
    if target is None or isinstance(value, str):
        return Row(name, value, unit, None, None)
    return Row(name, value, unit, target.bound, target.holds(value))


def print_rows(title: str, rows: Sequence[Row], targets: Mapping[str, Target]) -> None:
    table = Table("figure", "value", "unit", "target", "holds", title=title, title_justify="left")
    for each in rows:
        target = targets.get(each.name)
        bound = "" if target is None else f"{'≥' if target.at_least else '≤'} {target.bound:.4g}"
        table.add_row(
            each.name,
            each.value if isinstance(each.value, str) else f"{each.value:.4g}",
            each.unit,
            bound,
            {None: "", True: "yes", False: "NO"}[each.holds],
        )
    Console(width=110).print(table)


def write_rows(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": [asdict(each) for each in rows]}, indent=2) + "\n")
