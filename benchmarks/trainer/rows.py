"""The rows of a report: what was measured, its target, and whether it holds."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

# The targets of the trainer. Times, memory and shares are upper bounds; speeds and rates lower ones.
TARGETS = {
    "head.sampled.h256.time_vs_naive": 0.85,
    "head.sampled.h256.memory_vs_naive": 1 / 10,
    "head.sampled.h256.matmul_rate_share": 0.70,
    "head.sampled.h1024.time_vs_naive": 1.05,
    "head.sampled.h1024.memory_vs_naive": 1 / 8,
    "head.sampled.h1024.matmul_rate_share": 0.70,
    "head.topk.gated.time_vs_naive": 0.60,
    "head.topk.ungated.time_vs_naive": 0.12,
    "head.topk.time_vs_trl": 0.50,
    "head.sampled.time_vs_trl": 0.75,
    "gate.share_of_update": 0.02,
    "rollout.64.speed_vs_generate": 1.6,
    "rollout.512.speed_vs_generate": 1.6,
    "end_to_end.reuse1.speed_vs_trl": 2.0,
}
AT_LEAST = ("speed_vs", "rate_share")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `holds` is None where there is no target."""

    name: str
    value: float | str
    unit: str
    target: float | None
    holds: bool | None


def row(name: str, value: float | str, unit: str) -> Row:
    """A figure, judged by its target where it has one."""
    target = TARGETS.get(name)
    if target is None or isinstance(value, str):
        return Row(name, value, unit, None, None)
    holds = value >= target if is_lower_bound(name) else value <= target
    return Row(name, value, unit, target, holds)


def is_lower_bound(name: str) -> bool:
    return any(kind in name for kind in AT_LEAST)


def print_rows(title: str, rows: Sequence[Row]) -> None:
    table = Table("figure", "value", "unit", "target", "holds", title=title, title_justify="left")
    for each in rows:
        bound = "≥" if is_lower_bound(each.name) else "≤"
        table.add_row(
            each.name,
            each.value if isinstance(each.value, str) else f"{each.value:.4g}",
            each.unit,
            "" if each.target is None else f"{bound} {each.target:.4g}",
            {None: "", True: "yes", False: "NO"}[each.holds],
        )
    Console(width=110).print(table)


def write_rows(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": [asdict(each) for each in rows]}, indent=2) + "\n")
