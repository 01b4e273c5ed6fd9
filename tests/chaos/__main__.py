"""`make chaos SEED=1 RUNS=20`: runs with one seed after another, on both databases by turns."""

import argparse
import sys

from tests.chaos.run import LONG, Report, run_chaos

KINDS = ("sqlite", "postgres")
HEADING = (
    "seed  database  faults  requests  jobs                                        seconds  verdict"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="Of the first run.")
    parser.add_argument("--runs", type=int, default=4)
    options = parser.parse_args()
    _say(HEADING)
    num_bad = 0
    for number in range(options.runs):
        report = run_chaos(options.seed + number, kind=KINDS[number % 2], scale=LONG)
        _say(_row(report))
        if report.violations:
            num_bad += 1
            _say(report.text)
    return 1 if num_bad else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _row(report: Report) -> str:
    jobs = ", ".join(f"{number} {state}" for state, number in sorted(report.states.items()))
    verdict = f"{len(report.violations)} violations" if report.violations else "nothing lost"
    return (
        f"{report.seed:>4}  {report.kind:<8}  {report.num_faults:>6}  {report.num_calls:>8}  "
        f"{jobs:<42}  {report.seconds:>7.0f}  {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
