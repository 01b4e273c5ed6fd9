"""What this machine has to compute with, asked of the system: torch stays out of the worker's own process."""

import ctypes
import os
from pathlib import Path

from service.jobs.capabilities import Capabilities, Device
from service.settings import Settings

DRIVER_FOLDER = Path("/proc/driver/nvidia")
DEVICE_FILE = Path("/dev/nvidia0")
MEMORY_INFO = Path("/proc/meminfo")
CONTROL_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def find_capabilities(settings: Settings) -> Capabilities:
    """As the settings say; what they leave open is what the system says."""
    device = settings.worker_device
    if device == "auto":
        device = "cuda" if _has_gpu() else "cpu"
    memory_bytes = settings.worker_memory_bytes or _memory_bytes(device)
    return Capabilities(device, memory_bytes, len(device_names(device, settings)))


def device_names(device: Device, settings: Settings) -> tuple[str, ...]:
    """Those that jobs may use, GPUs as CUDA_VISIBLE_DEVICES has them."""
    if device == "cpu":
        names = [f"cpu{index}" for index in range(settings.worker_devices or 1)]
    else:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(index) for index in range(_num_gpus())]
    return tuple(names[: settings.worker_devices])


def _has_gpu() -> bool:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return DRIVER_FOLDER.is_dir() or DEVICE_FILE.exists()


def _memory_bytes(device: Device) -> int | None:
    return _smallest_gpu_bytes() if device == "cuda" else _host_bytes()


def _host_bytes() -> int | None:
    """The machine's memory, or less where the control group limits it."""
    limits = [_control_group_bytes(path) for path in CONTROL_GROUP_LIMITS]
    known = [limit for limit in (_machine_bytes(), *limits) if limit is not None]
    return min(known, default=None)


def _machine_bytes() -> int | None:
    try:
        lines = MEMORY_INFO.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, amount = line.partition(":")
        if name == "MemTotal":
            return int(amount.split()[0]) * 1024
    return None


def _control_group_bytes(path: Path) -> int | None:
    """None without a limit, which reads `max`, or as a number beyond any memory."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


class _NvmlMemory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def _smallest_gpu_bytes() -> int | None:
    """Of all GPUs, since which of them a job will get is not known here; None where the driver does not say."""
    return min((size for size in _sizes_of_gpus() if size is not None), default=None)


def _num_gpus() -> int:
    """One where the driver does not say how many."""
    return len(_sizes_of_gpus()) or 1


def _sizes_of_gpus() -> list[int | None]:
    """The memory of each GPU, None where the driver does not say; empty where it says nothing."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return []
    if nvml.nvmlInit_v2() != 0:
        return []
    try:
        count = ctypes.c_uint()
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return []
        return [_gpu_bytes(nvml, index) for index in range(count.value)]
    finally:
        nvml.nvmlShutdown()


def _gpu_bytes(nvml: ctypes.CDLL, index: int) -> int | None:
    device, memory = ctypes.c_void_p(), _NvmlMemory()
    found = nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)) == 0
    if not found or nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) != 0:
        return None
    return int(memory.total)
