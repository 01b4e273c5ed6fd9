"""`python -m benchmarks.api [--only jobs]`: what requests cost the server, side by side with others.

CPU is that of the server's processes, one request after another on one connection, median of rounds. Prints a
table a part and writes all rows to var/bench/api.json; a part that was not run keeps no rows there.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.api.jobs_part import job_rows
from benchmarks.api.list_part import list_rows
from benchmarks.api.metrics_part import metric_rows
from benchmarks.api.rows import Row, print_rows, row, write_rows
from benchmarks.api.streams_part import stream_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="jobs, metrics, list or streams")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=400, help="a round")
    parser.add_argument("--output", type=Path, default=Path("var/bench/api.json"))
    options = parser.parse_args()
    load = {"rounds": options.rounds, "num_requests": options.requests}
    parts: dict[str, Callable[[Path], list[Row]]] = {
        "jobs": lambda folder: job_rows(folder, **load),
        "metrics": lambda folder: metric_rows(folder, **load),
        "list": list_rows,
        "streams": stream_rows,
    }
    rows: list[Row] = []
    for name in options.only or parts:
        rows.append(
            row(f"machine.before_{name}", _million_additions_ms(), "CPU ms of 10⁶ additions")
        )
        with tempfile.TemporaryDirectory(prefix="dg-api-") as folder:
            part = parts[name](Path(folder))
        print_rows(name, [rows[-1], *part])
        rows += part
        write_rows(rows, options.output)


def _million_additions_ms() -> float:
    """How fast this machine is at this moment: shared ones differ by a factor of three within an hour."""
    before, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return (time.process_time() - before) * 1000


if __name__ == "__main__":
    main()
