"""Peak resident memory of one run beyond its inputs, in a process of its own.

The kernel's own high-water mark (VmHWM of /proc/self/status) counts every page that was ever touched at
once, whoever allocated it: torch, MKL's packing buffers, or Python. The child builds its inputs, runs
once on a few tokens (thread pools, code pages, packing buffers), sets the mark back to what is resident
now (/proc/self/clear_refs), and runs once in full. Blocks of this size are given back to the kernel when
freed, so nothing of the first run hides in the second.
"""

import subprocess
import sys
from dataclasses import dataclass

import torch

from benchmarks.trainer.head_problem import head_problem

WARM_UP_TOKENS = 64
CLEAR_PEAK = "5"  # written to clear_refs, see proc(5)


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Both beyond the inputs.

    extra_bytes: with the gradients already there, as in every micro-batch but the first.
    bytes_with_gradient: from no gradient at all, so the head's own is counted.
    """

    extra_bytes: int
    bytes_with_gradient: int


def peak_memory(variant: str, *, num_tokens: int, hidden_size: int) -> PeakMemory:
    """Of a variant of `benchmarks.trainer.head.VARIANTS`."""
    return PeakMemory(
        *(
            _in_child(variant, num_tokens, hidden_size, gradient)
            for gradient in ("present", "absent")
        )
    )


def _in_child(variant: str, num_tokens: int, hidden_size: int, gradient: str) -> int:
    command = [sys.executable, "-m", "benchmarks.trainer.peak_memory", variant]
    command += [str(num_tokens), str(hidden_size), gradient]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(variant: str, num_tokens: int, hidden_size: int, gradient: str) -> int:
    """Peak bytes beyond what was resident just before the run."""
    from benchmarks.trainer.head import VARIANTS  # noqa: PLC0415 it imports this module

    VARIANTS[variant](head_problem(WARM_UP_TOKENS, hidden_size))
    problem = head_problem(num_tokens, hidden_size)
    if gradient == "present":
        for parameter in problem.student.parameters():
            parameter.grad = torch.full_like(parameter, 0.0)
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 the kernel's, not a folder's
        file.write(CLEAR_PEAK)
    before = _resident_bytes("VmRSS")
    VARIANTS[variant](problem)
    return _resident_bytes("VmHWM") - before


def _resident_bytes(field: str) -> int:
    with open("/proc/self/status") as file:  # noqa: PTH123 the kernel's, not a folder's
        (kibibytes,) = (line.split()[1] for line in file if line.startswith(f"{field}:"))
    return int(kibibytes) * 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
