"""`python -m benchmarks.trainer [--only head] [--repeats 3]`: every comparison of the trainer, side by side.

One thread, float32, medians of interleaved runs of CPU time. Prints a table a part and writes all rows
to var/bench/trainer.json; a part that was not run keeps no rows there.
"""

import argparse
import os
from pathlib import Path

# Before torch is loaded: a second OpenMP thread beside other work spins.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

from benchmarks.trainer.end_to_end import end_to_end_rows
from benchmarks.trainer.gate import gate_rows
from benchmarks.trainer.head import head_rows
from benchmarks.trainer.rollout import rollout_rows
from benchmarks.trainer.rows import print_rows, write_rows
from benchmarks.trainer.versions import version_rows

PARTS = {
    "head": head_rows,
    "gate": gate_rows,
    "rollout": rollout_rows,
    "end_to_end": end_to_end_rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("var/bench/trainer.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = version_rows()
    print_rows("machine and versions", rows)
    for name in options.only or PARTS:
        part = PARTS[name](repeats=options.repeats)
        print_rows(name, part)
        rows += part
        write_rows(rows, options.output)


if __name__ == "__main__":
    main()
