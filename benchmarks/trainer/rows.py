"""The figures of the trainer's report and their targets."""

from collections.abc import Sequence

from benchmarks import report
from benchmarks.report import Row, Target, write_rows

__all__ = ["Row", "print_rows", "row", "write_rows"]

# Times, memory and shares are bounded from above; speeds and rates from below.
TARGETS = {
    "head.sampled.h256.time_vs_naive": Target(0.85),
    "head.sampled.h256.memory_vs_naive": Target(1 / 10),
    "head.sampled.h256.matmul_rate_share": Target(0.70, at_least=True),
    "head.sampled.h1024.time_vs_naive": Target(1.05),
    "head.sampled.h1024.memory_vs_naive": Target(1 / 8),
    "head.sampled.h1024.matmul_rate_share": Target(0.70, at_least=True),
    "head.topk.gated.time_vs_naive": Target(0.60),
    "head.topk.ungated.time_vs_naive": Target(0.12),
    "head.topk.time_vs_trl": Target(0.50),
    "head.sampled.time_vs_trl": Target(0.75),
    "gate.share_of_update": Target(0.02),
    "rollout.64.speed_vs_generate": Target(1.6, at_least=True),
    "rollout.512.speed_vs_generate": Target(1.6, at_least=True),
    "end_to_end.reuse1.speed_vs_trl": Target(2.0, at_least=True),
}


def row(name: str, value: float | str, unit: str) -> Row:
    """A figure, judged by its target where it has one."""
    return report.judged_row(name, value, unit, TARGETS)


def print_rows(title: str, rows: Sequence[Row]) -> None:
    report.print_rows(title, rows, TARGETS)
