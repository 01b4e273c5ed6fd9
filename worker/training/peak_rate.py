"""What a device reaches in dense matrix products, measured, so that a share of it means the same anywhere."""

import time
from functools import cache

import torch
from torch import Tensor

# Of square products: large enough for a device to be as fast as it gets, small enough to cost next to nothing.
SIZE_ON_CPU, SIZE_ON_GPU = 512, 8192
NUM_REPEATS = 5
PRODUCTS_AT_A_TIME = {"cuda": 8}
MAX_SECONDS = 0.05  # a CPU that emulates a dtype is not worth more


def peak_flops_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Of one device with the threads that it has now; once a process, in some 20 ms."""
    index = device.index
    if device.type == "cuda" and index is None:
        index = torch.cuda.current_device()
    return _measured(device.type, index, dtype, torch.get_num_threads())


@cache
def _measured(device_type: str, index: int | None, dtype: torch.dtype, _num_threads: int) -> float:
    device = torch.device(device_type if index is None else f"{device_type}:{index}")
    size = SIZE_ON_GPU if device.type == "cuda" else SIZE_ON_CPU
    return measure_peak(device, dtype, size=size)


@torch.no_grad()
def measure_peak(device: torch.device, dtype: torch.dtype, *, size: int) -> float:
    """The best of some runs of products of [size, size] matrices, FLOP/s."""
    generator = torch.Generator(device).manual_seed(0)
    # Random numbers: products of zeros draw less power, and a GPU's clock rises.
    left, right = (
        torch.randn(size, size, generator=generator, device=device, dtype=dtype) for _ in range(2)
    )
    product = torch.mm(left, right)
    num_products = PRODUCTS_AT_A_TIME.get(device.type, 1)
    started, best = time.perf_counter(), float("inf")
    for _ in range(NUM_REPEATS):
        best = min(best, _seconds(left, right, product, num_products))
        if device.type == "cpu" and time.perf_counter() - started > MAX_SECONDS:
            break
    return 2 * size**3 * num_products / best


def _seconds(left: Tensor, right: Tensor, product: Tensor, num_products: int) -> float:
    finish(left.device)
    started = time.perf_counter()
    for _ in range(num_products):
        torch.mm(left, right, out=product)
    finish(left.device)
    return time.perf_counter() - started


def seconds_since(started: float, *, device: torch.device) -> float:
    """By `time.perf_counter`, once the device has done what it was given."""
    finish(device)
    return time.perf_counter() - started


def finish(device: torch.device) -> None:
    """A GPU works on while the clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
