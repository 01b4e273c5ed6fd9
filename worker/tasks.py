"""The Celery worker: a message, or the clock, lets a free slot claim jobs until none is queued."""

import itertools
import logging
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from celery import Celery, bootsteps

from service.errors import DriftgateError
from service.jobs.spec import num_devices_of
from service.stop_signals import watch_signals
from service.storage.job_store import Claim, JobStore
from service.storage.worker_store import WorkerProfile
from service.task_queue import TASK_NAME, take_messages_for_good
from worker.ranks_devices import DeviceAllotment
from worker.supervisor import Supervisor

logger = logging.getLogger(__name__)

# While every slot is taken Celery asks its broker for nothing, and its loop turns every two seconds: until then it does
# not hear that there is work. The poll looks by itself meanwhile.
DEAF_S = 2.5
GLANCE_S = 0.2


class WorkSlots:
    """At most `num_slots` jobs at once, whoever asks: Celery's threads or the poll thread.

    A thread that holds a slot supervises its jobs itself, one after the other.
    """

    def __init__(
        self, *, num_slots: int, run_next: Callable[[], bool], drain: threading.Event
    ) -> None:
        self._free = threading.Semaphore(num_slots)
        self._run_next = run_next
        self._drain = drain
        self._freed_at = -math.inf

    def work(self) -> None:
        """Runs jobs in this thread until none is queued; returns at once where no slot is free.

        A message that finds no free slot may be dropped: every slot looks again when its job ends.
        """
        if not self._free.acquire(blocking=False):
            return
        try:
            while not self._drain.is_set() and self._run_next():
                self._freed_at = time.monotonic()
        finally:
            self._free.release()

    def has_just_freed(self) -> bool:
        """Whether a job has ended so lately that Celery may not be listening yet."""
        return time.monotonic() - self._freed_at < DEAF_S


class WorkPoll:
    """Looks for work without a message, so that a lost one, or a broker that is away, costs seconds."""

    def __init__(
        self,
        slots: WorkSlots,
        *,
        num_queued: Callable[[], int],
        max_threads: int,
        poll_interval_s: float,
        drain: threading.Event,
    ) -> None:
        self._slots = slots
        self._num_queued = num_queued
        self._max_threads = max_threads
        self._poll_interval_s = poll_interval_s
        self._drain = drain
        self._workers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="work-poll")

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Waits until the poll and every job that it found have ended, after the drain was set."""
        self._thread.join()
        for worker in self._workers:
            worker.join()

    def _run(self) -> None:
        while not self._drain.is_set():
            self._workers = [worker for worker in self._workers if worker.is_alive()]
            for _ in range(min(self._look(), self._max_threads - len(self._workers))):
                worker = threading.Thread(target=self._slots.work, name="work-slot")
                worker.start()
                self._workers.append(worker)
            next_look_at = time.monotonic() + self._poll_interval_s
            while not self._drain.wait(min(GLANCE_S, self._poll_interval_s)):
                if self._slots.has_just_freed() or time.monotonic() >= next_look_at:
                    break

    def _look(self) -> int:
        try:
            return self._num_queued()
        except DriftgateError as error:
            logger.warning("cannot look for work: %s", error.message)
            return 0


def run_next_job(
    job_store: JobStore,
    supervisor: Supervisor,
    *,
    worker: WorkerProfile,
    devices: DeviceAllotment,
    lease_s: float,
) -> bool:
    """Claims one job for devices that are free and supervises it to its end; False where there was none to claim."""

    def claim_for(num_free: int) -> Claim | None:
        return job_store.claim(
            queue=worker.queues,
            owner=worker.owner,
            lease_s=lease_s,
            capabilities=replace(worker.capabilities, num_devices=num_free),
        )

    try:
        with devices.claimed(claim_for, count_of=lambda claim: num_devices_of(claim.spec)) as found:
            if found is None:
                return False
            claim, names = found
            logger.info("job %s claimed, attempt %d", claim.lease.job_id, claim.lease.epoch)
            is_one_of_many_gpus = (
                worker.capabilities.device == "cuda" and worker.capabilities.num_devices > 1
            )
            supervisor.supervise(claim, devices=names if is_one_of_many_gpus else ())
    except DriftgateError as error:
        logger.warning("cannot claim a job: %s", error.message)
        return False
    return True


def install(
    app: Celery,
    slots: WorkSlots,
    poll: WorkPoll,
    *,
    drain: threading.Event,
    at_once: threading.Event,
) -> None:
    """Makes Celery ring the slots, start and join the poll, and stop on SIGTERM and SIGINT.

    The first signal drains; the second, whichever of the two, stops at once.
    """
    take_messages_for_good()

    @app.task(name=TASK_NAME)
    def run_next(*_arguments: Any) -> None:
        slots.work()

    class PollStep(bootsteps.StartStopStep):
        """Runs beside the consumer, which may still be looking for its broker."""

        requires = ("celery.worker.components:Pool",)

        def start(self, _worker: Any) -> None:
            poll.start()

        def stop(self, _worker: Any) -> None:
            drain.set()
            poll.join()

        terminate = stop

    app.steps["worker"].add(PollStep)

    signals_taken = itertools.count()

    # In a thread: Celery's own handlers interrupt the main thread, which may hold an event's lock.
    def take(_number: int) -> None:
        (drain if next(signals_taken) == 0 else at_once).set()

    watch_signals([signal.SIGTERM, signal.SIGINT], take)
