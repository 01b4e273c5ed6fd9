"""What a worker has, and so which jobs it may take."""

from dataclasses import dataclass
from typing import Literal

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The device that a worker computes on, and its memory in bytes, None where unknown.

    A worker with a GPU also takes jobs that ask for the CPU; their need is not held against the GPU's memory.
    """

    device: Device
    memory_bytes: int | None = None

    def memory_by_need(self) -> dict[str, int | None]:
        """By `needs_device` of the jobs that this worker may take: the most that they may need."""
        of_device = {"auto": self.memory_bytes, self.device: self.memory_bytes}
        return of_device if self.device == "cpu" else {**of_device, "cpu": None}
