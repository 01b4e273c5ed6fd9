"""`python -m benchmarks.gpu`: loss head, update, scoring and rollout at Qwen3's sizes, on a GPU.

Each part is checked against float64 on the CPU before it is timed, and shares are of a peak of dense products that
the same run measures. `--shape tiny --device cpu` runs the same code anywhere; its figures mean nothing. Writes
var/bench/gpu.json and prints a table a part.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu.head import head_rows
from benchmarks.gpu.machine import Machine, find_machine
from benchmarks.gpu.peak import machine_rows
from benchmarks.gpu.rollout import rollout_rows
from benchmarks.gpu.rows import Row, print_rows, row, write_rows
from benchmarks.gpu.scoring import scoring_rows
from benchmarks.gpu.shapes import SHAPES, Shape
from benchmarks.gpu.update import update_rows

Part = Callable[[Shape, Machine], list[Row]]


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    options = _parse(arguments)
    machine = find_machine(options.device, options.dtype, repeats=options.repeats)
    parts: dict[str, Part] = {
        "head": head_rows,
        "update": partial(update_rows, with_compiled=options.compile),
        "scoring": scoring_rows,
        "rollout": rollout_rows,
    }
    rows = machine_rows(machine)
    print_rows("machine and versions", rows)
    for shape in options.shape or ["0.6b", "1.7b"]:
        for name in options.only or parts:
            measured = _measured(parts[name], SHAPES[shape], machine, name=name)
            print_rows(f"{name} at {shape}", measured)
            rows += measured
            write_rows(rows, options.output)
    return rows


def _measured(part: Part, shape: Shape, machine: Machine, *, name: str) -> list[Row]:
    """A part that does not fit the device's memory says so, and the others are measured."""
    try:
        return part(shape, machine)
    except (MemoryError, torch.OutOfMemoryError) as error:
        machine.forget()
        return [row(f"{name}.{shape.name}", f"out of memory: {error}"[:100], "reason")]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, action="append", help="may be repeated")
    parser.add_argument("--only", choices=("head", "update", "scoring", "rollout"), action="append")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--compile", action="store_true", help="measure compiled layers too")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("var/bench/gpu.json"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    # Packs of many lengths would leave gaps that nothing fits; read when the GPU is first used.
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    main()
