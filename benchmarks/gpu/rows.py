"""The figures of the GPU report and their targets."""

from collections.abc import Sequence

from benchmarks import report
from benchmarks.report import Row, Target, write_rows

__all__ = ["Row", "error_row", "print_rows", "row", "write_rows"]

TARGETS = {
    "head.1.7b.sampled.time_vs_products": Target(1.5),
    "head.0.6b.sampled.time_vs_products": Target(2.2),
    "update.1.7b.mfu": Target(0.5, at_least=True),
}
# Norm of a gradient's difference over its norm, to float64 on the CPU: bfloat16 rounds to 1 part in 256, and a few
# dozen roundings lie between a weight and the loss.
MAX_ERRORS = {"bfloat16": 0.05, "float16": 0.05, "float32": 1e-3}


def row(name: str, value: float | str, unit: str) -> Row:
    """A figure, judged by its target where it has one."""
    return report.judged_row(name, value, unit, TARGETS)


def error_row(name: str, value: float, *, dtype_name: str) -> Row:
    """A difference to float64, judged by what the dtype allows."""
    bound = MAX_ERRORS[dtype_name]
    return Row(name, value, "relative", bound, value <= bound)


def print_rows(title: str, rows: Sequence[Row]) -> None:
    targets = TARGETS | {
        each.name: Target(each.target) for each in rows if each.unit == "relative" and each.target
    }
    report.print_rows(title, rows, targets)
