"""What a worker has, and so which jobs it may take."""

from dataclasses import dataclass
from typing import Literal

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The device that a worker computes on, the memory of each in bytes, None where unknown, and how many there are.

    A worker with a GPU also takes jobs that ask for the CPU; their need is not held against the GPU's memory.
    """

    device: Device
    memory_bytes: int | None = None
    num_devices: int = 1

    def memory_by_need(self) -> dict[str, int | None]:
        """By `needs_device` of the jobs that this worker may take: the most that they may need of each device."""
        counts = range(1, self.num_devices + 1)
        of_device = {
            device_need(device, count): self.memory_bytes
            for count in counts
            for device in ("auto", self.device)
        }
        return of_device if self.device == "cpu" else {**of_device, "cpu": None}


def device_need(device: str, count: int) -> str:
    """What stands in `needs_device` of a job: the kind of device, and how many where it is not one.

    One word for both, because the jobs that need the same are found together.
    """
    return device if count == 1 else f"{count}x{device}"


def described_need(needs_device: str) -> str:
    """For a person: what such a job needs."""
    count, separator, device = needs_device.rpartition("x")
    if not separator:
        return "a worker" if device == "auto" else device
    return f"a worker with {count} devices" if device == "auto" else f"{count} × {device}"
