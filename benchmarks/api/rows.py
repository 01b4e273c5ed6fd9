"""The figures of the job API's report and their targets."""

from collections.abc import Sequence

from benchmarks import report
from benchmarks.report import Row, Target, write_rows

__all__ = ["Row", "print_rows", "row", "write_rows"]

TARGETS = {
    "create.postgres": Target(2.0),
    "create.sqlite": Target(1.5),
    "create.grpc": Target(2.0),
    "get": Target(0.8),
    "get.304": Target(0.45),
    "append.1000": Target(10.0),
    "downsample.p99": Target(25.0),
    "list.page1000_vs_page1": Target(1.5),
    "streams.500.pool": Target(0.0),
    "mlflow.append.speedup": Target(1.0, at_least=True),
}


def row(name: str, value: float | str, unit: str) -> Row:
    """A figure, judged by its target where it has one."""
    return report.judged_row(name, value, unit, TARGETS)


def print_rows(title: str, rows: Sequence[Row]) -> None:
    report.print_rows(title, rows, TARGETS)
