"""Which job computes on which of a worker's devices."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Claim = TypeVar("Claim")


class DeviceAllotment:
    """The devices of one worker and how many jobs each has, for several threads.

    names: as CUDA_VISIBLE_DEVICES has them. Where there are more slots than devices, jobs share a device, none having
    more of them than it must.
    """

    def __init__(self, names: Sequence[str], *, num_slots: int) -> None:
        self._num_jobs = dict.fromkeys(names, 0)
        self._max_jobs = -(-num_slots // len(names))
        self._lock = threading.Lock()

    @contextmanager
    def claimed(
        self, claim: Callable[[int], Claim | None], *, count_of: Callable[[Claim], int]
    ) -> Iterator[tuple[Claim, tuple[str, ...]] | None]:
        """What `claim` takes when told how many devices are free, and the devices that it has inside.

        None where no device is free or nothing was to be claimed.
        """
        with self._lock:
            free = sorted(
                (name for name, count in self._num_jobs.items() if count < self._max_jobs),
                key=lambda name: self._num_jobs[name],
            )
            claimed = claim(len(free)) if free else None
            taken = tuple(free[: count_of(claimed)]) if claimed is not None else ()
            self._count(taken, 1)
        try:
            yield None if claimed is None else (claimed, taken)
        finally:
            with self._lock:
                self._count(taken, -1)

    def _count(self, names: Sequence[str], change: int) -> None:
        for name in names:
            self._num_jobs[name] += change
