"""What the figures were taken on: machine and versions, as rows."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.trainer.rows import Row, row

PACKAGES = ("torch", "transformers", "trl", "liger_kernel", "accelerate", "numpy")


def version_rows() -> list[Row]:
    rows = [
        row("machine.processor", _processor(), "name"),
        row("machine.cores", float(os.cpu_count() or 0), "cores"),
        row("machine.cpu_capability", torch.backends.cpu.get_cpu_capability(), "name"),
        row("machine.threads_used", float(torch.get_num_threads()), "threads"),
        row("versions.python", platform.python_version(), "version"),
    ]
    return rows + [row(f"versions.{package}", version(package), "version") for package in PACKAGES]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
