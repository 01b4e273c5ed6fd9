"""`make chaos SEED=1 RUNS=20 JOBS=2`: runs with one seed after another, on both databases by turns or on one of them."""

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.chaos.report import HEADING, Report
from tests.chaos.scales import LONG
from tests.chaos.side_by_side import end_after, run_all

KINDS = ("sqlite", "postgres")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="Of the first run.")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=1, help="Runs side by side.")
    parser.add_argument("--database", choices=KINDS, help="Every run on this one.")
    options = parser.parse_args()
    # Runs fork to start PostgreSQL as its own user: gRPC's handlers would crash such a fork while its threads work.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    kinds = KINDS if options.database is None else (options.database,)
    runs = [(kinds[n % len(kinds)], options.seed + n) for n in range(options.runs)]
    _say(HEADING)
    num_bad = 0
    # Processes: the clients of several runs would wait for one another in one.
    with ProcessPoolExecutor(
        options.jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=end_after,
        initargs=(os.getpid(),),
    ) as pool:
        for found in run_all(runs, scale=LONG, pool=pool):
            if isinstance(found, Report):
                _say(found.row())
            if isinstance(found, str) or found.violations:
                num_bad += 1
                _say(found if isinstance(found, str) else found.text)
    _say(f"{len(runs) - num_bad} of {len(runs)} runs lost nothing.")
    return 1 if num_bad else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
