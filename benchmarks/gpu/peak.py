"""The machine, the versions, and the peak that shares are of."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.rows import Row, row
from worker.training.products import product_in_float32

PACKAGES = ("torch", "transformers", "liger_kernel", "triton")


def machine_rows(machine: Machine) -> list[Row]:
    device = machine.device
    is_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if is_gpu else platform.processor() or "CPU"
    rows = [
        row("machine.device", name, "name"),
        row("machine.dtype", machine.dtype_name, "name"),
        row("machine.peak", machine.peak_flops_per_second / 1e12, "TFLOP/s"),
        row("machine.float32_sums_of_products", _wide_products(machine), "name"),
        row("versions.python", platform.python_version(), "version"),
    ]
    if is_gpu:
        total = torch.cuda.get_device_properties(device).total_memory
        rows.append(row("machine.memory", total / 2**30, "GiB"))
        rows.append(row("versions.cuda", str(torch.version.cuda), "version"))
    return rows + [row(f"versions.{package}", _version(package), "version") for package in PACKAGES]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _wide_products(machine: Machine) -> str:
    """Whether products of halves keep float32: on 1 and 2^-7, 16 of which add up to 0.125; two roundings show."""
    if machine.dtype == torch.float32:
        return "of float32 itself"
    ones = torch.ones(1, 3, device=machine.device, dtype=machine.dtype)
    parts = torch.tensor([[1.0], [2**-7], [2**-9]], device=machine.device).to(machine.dtype)
    exact = 1.0 + 2**-7 + 2**-9
    kept = product_in_float32(ones, parts).item() == exact
    return "one product" if kept else "rounded once, then widened"
