import threading
from collections.abc import Callable, Iterator

import pytest

from worker.tasks import WorkPoll, WorkSlots


class Work:
    """Jobs that end when the test says so; counts how many run at once."""

    def __init__(self, num_jobs: int) -> None:
        self.num_queued = num_jobs
        self.num_running = 0
        self.most_running = 0
        self.num_done = 0
        self.drain = threading.Event()
        self._lock = threading.Lock()
        self._may_end = threading.Semaphore(0)

    def run_next(self) -> bool:
        with self._lock:
            claimed = self.num_queued > 0
            self.num_queued -= claimed
            self.num_running += claimed
            self.most_running = max(self.most_running, self.num_running)
        _ = claimed and self._may_end.acquire()
        with self._lock:
            self.num_running -= claimed
            self.num_done += claimed
        return claimed

    def end(self, num_jobs: int) -> None:
        self._may_end.release(num_jobs)


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    threads = []

    def start(target: Callable[[], None]) -> threading.Thread:
        threads.append(threading.Thread(target=target))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(timeout=10)


def test_a_slot_runs_jobs_until_none_is_queued() -> None:
    work = Work(num_jobs=3)
    work.end(3)

    WorkSlots(num_slots=1, run_next=work.run_next, drain=work.drain).work()

    assert (work.num_done, work.num_queued) == (3, 0)


def test_no_more_jobs_run_at_once_than_there_are_slots(start, wait_until) -> None:
    work = Work(num_jobs=5)
    slots = WorkSlots(num_slots=2, run_next=work.run_next, drain=work.drain)
    start(slots.work)
    start(slots.work)
    wait_until(lambda: work.num_running == 2)

    slots.work()  # returns at once: no slot is free

    assert work.num_queued == 3
    work.end(5)
    wait_until(lambda: work.num_done == 5)
    assert work.most_running == 2


def test_a_draining_slot_claims_nothing_more(start, wait_until) -> None:
    work = Work(num_jobs=2)
    thread = start(WorkSlots(num_slots=1, run_next=work.run_next, drain=work.drain).work)
    wait_until(lambda: work.num_running == 1)

    work.drain.set()
    work.end(2)
    thread.join(timeout=10)

    assert (work.num_done, work.num_queued) == (1, 1)


def test_the_poll_fills_every_free_slot_without_a_message_and_stops_on_a_drain(wait_until) -> None:
    work = Work(num_jobs=3)
    poll = WorkPoll(
        WorkSlots(num_slots=2, run_next=work.run_next, drain=work.drain),
        num_queued=lambda: work.num_queued,
        max_threads=2,
        poll_interval_s=0.01,
        drain=work.drain,
    )
    poll.start()
    wait_until(lambda: work.num_running == 2)

    work.end(3)
    wait_until(lambda: work.num_done == 3)
    work.drain.set()
    poll.join()

    assert work.most_running == 2


def test_a_job_that_comes_just_after_another_one_does_not_wait_for_the_next_poll(
    wait_until,
) -> None:
    work = Work(num_jobs=1)
    poll = WorkPoll(
        WorkSlots(num_slots=1, run_next=work.run_next, drain=work.drain),
        num_queued=lambda: work.num_queued,
        max_threads=1,
        poll_interval_s=600,
        drain=work.drain,
    )
    poll.start()
    work.end(1)
    wait_until(lambda: work.num_done == 1)

    work.num_queued = 1
    work.end(1)

    wait_until(lambda: work.num_done == 2)
    work.drain.set()
    poll.join()
