"""Waiting jobs by what they need: a lane for each queue and device, as the index of `jobs` has them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_

from service.jobs.capabilities import Capabilities
from service.jobs.resources_spec import MAX_GPUS
from service.jobs.state import JobState
from service.storage.tables import JobRow

EVERY_NEED = Capabilities("cuda", num_devices=MAX_GPUS).memory_by_need()


@dataclass(frozen=True, slots=True)
class Lane:
    """Waiting jobs of one queue and device, that need no more than this memory; None: any."""

    queue: str
    needs_device: str
    memory_bytes: int | None

    def holds(self, jobs: type[JobRow]) -> list[ColumnElement[bool]]:
        """What is true of the jobs in it."""
        conditions: list[ColumnElement[bool]] = [
            jobs.queue == self.queue,
            jobs.state == JobState.QUEUED,
            jobs.needs_device == self.needs_device,
        ]
        if self.memory_bytes is not None:
            need = jobs.needs_memory_bytes
            conditions.append(or_(need.is_(None), need <= self.memory_bytes))
        return conditions


def lanes_of(queues: Sequence[str], capabilities: Capabilities | None) -> tuple[Lane, ...]:
    """The lanes that a worker takes from; None meets every need."""
    memory_by_need = EVERY_NEED if capabilities is None else capabilities.memory_by_need()
    return tuple(
        Lane(queue, needs_device, memory_bytes)
        for queue in queues
        for needs_device, memory_bytes in memory_by_need.items()
    )
