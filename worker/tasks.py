"""The Celery worker: a message, or the clock, lets a free slot claim jobs until none is queued."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_shutting_down

from service.errors import DriftgateError
from service.storage.job_store import JobStore
from service.task_queue import TASK_NAME
from worker.supervisor import Supervisor

logger = logging.getLogger(__name__)


class WorkSlots:
    """At most `num_slots` jobs at once, whoever asks: Celery's threads or the poll thread.

    A thread that holds a slot supervises its jobs itself, because a child dies with the thread that
    started it.
    """

    def __init__(
        self, *, num_slots: int, run_next: Callable[[], bool], drain: threading.Event
    ) -> None:
        self._free = threading.Semaphore(num_slots)
        self._run_next = run_next
        self._drain = drain

    def work(self) -> None:
        """Runs jobs in this thread until none is queued; returns at once where no slot is free.

        A message that finds no free slot may be dropped: every slot looks again when its job ends.
        """
        if not self._free.acquire(blocking=False):
            return
        try:
            while not self._drain.is_set() and self._run_next():
                pass
        finally:
            self._free.release()


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
            self._drain.wait(self._poll_interval_s)

    def _look(self) -> int:
        try:
            return self._num_queued()
        except DriftgateError as error:
            logger.warning("cannot look for work: %s", error.message)
            return 0


def run_next_job(
    job_store: JobStore, supervisor: Supervisor, *, queue: str, owner: str, lease_s: float
) -> bool:
    """Claims one job and supervises it to its end; False where there was none to claim."""
    try:
        claim = job_store.claim(queue=queue, owner=owner, lease_s=lease_s)
    except DriftgateError as error:
        logger.warning("cannot claim a job: %s", error.message)
        return False
    if claim is None:
        return False
    logger.info("job %s claimed, attempt %d", claim.lease.job_id, claim.lease.epoch)
    supervisor.supervise(claim)
    return True


def install(app: Celery, slots: WorkSlots, poll: WorkPoll, *, drain: threading.Event) -> None:
    """Makes Celery ring the slots, start and join the poll, and drain on SIGTERM and SIGINT."""

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

    # Celery keeps only weak references to receivers; the event outlives this function by `slots`.
    @worker_shutting_down.connect(weak=False)
    def begin_drain(**_signal: Any) -> None:
        drain.set()
