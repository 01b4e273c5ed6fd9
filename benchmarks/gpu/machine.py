"""Where it is measured, how long things take there, and how much memory they need at most."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from worker.training.peak_rate import finish, measure_peak

PEAK_SIZES_ON_GPU, PEAK_SIZES_ON_CPU = (4096, 8192, 16_384), (256, 512)


@dataclass(frozen=True, slots=True)
class Machine:
    """peak_flops_per_second: the best of dense products of some sizes, in the dtype that is measured."""

    device: torch.device
    dtype: torch.dtype
    repeats: int
    peak_flops_per_second: float

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def median_seconds(self, run: Callable[[], object]) -> float:
        """Of `repeats` runs after one that is not measured."""
        run()
        seconds = []
        for _ in range(self.repeats):
            finish(self.device)
            started = time.perf_counter()
            run()
            finish(self.device)
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds)

    def peak_bytes(self, run: Callable[[], object]) -> int | None:
        """Most that is allocated at once beyond what is allocated before; None on a CPU, where nobody counts."""
        if self.device.type != "cuda":
            return None
        finish(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        run()
        finish(self.device)
        return torch.cuda.max_memory_allocated(self.device) - before

    def forget(self) -> None:
        """Gives back what is no longer used, before the next part."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def find_machine(device_name: str, dtype_name: str, *, repeats: int) -> Machine:
    """`auto` is a GPU with bfloat16 where there is one, else a CPU with float32."""
    if device_name == "auto":
        device_name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device_name)
    if dtype_name == "auto":
        dtype_name = "bfloat16" if device.type == "cuda" else "float32"
    dtype = getattr(torch, dtype_name)
    sizes = PEAK_SIZES_ON_GPU if device.type == "cuda" else PEAK_SIZES_ON_CPU
    return Machine(
        device, dtype, repeats, max(measure_peak(device, dtype, size=size) for size in sizes)
    )
