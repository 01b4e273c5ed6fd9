"""The worker as the process that `driftgate worker` starts, on a real broker and database."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from service.jobs.state import JobState
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.task_queue import Doorbell, celery_app
from tests.processes import is_alive, parent_of, pids_of
from tests.worker.small_jobs import small_job

MANY_STEPS = 1000


class Worker:
    def __init__(self, folder: Path, *, database_url: str, broker_url: str, **settings: object):
        self.log_path = folder / "worker.log"
        environment = {
            "DRIFTGATE_DATA_DIR": str(folder / "var"),
            "DRIFTGATE_DATABASE_URL": database_url,
            "DRIFTGATE_BROKER_URL": broker_url,
            "DRIFTGATE_HEARTBEAT_S": "0.2",
            # A busy machine may take its time over a step.
            "DRIFTGATE_STOP_GRACE_S": "50",
            **{f"DRIFTGATE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", "worker"],
                env=os.environ | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        return self.log_path.read_text()


@pytest.fixture
def start_worker(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[..., Worker]]:
    workers = []

    def start(**settings: object) -> Worker:
        workers.append(Worker(tmp_path, database_url=sqlite_url, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture
def jobs(sqlite_url: str) -> JobStore:
    return JobStore(Database(sqlite_url))


def test_a_message_starts_a_job_at_once(
    start_worker, jobs: JobStore, redis_url: str, settings_factory, wait_until
) -> None:
    # So rarely that the job can only start by the message.
    worker = start_worker(broker_url=redis_url, poll_interval_s=600)
    wait_until(lambda: "ready." in worker.log())
    doorbell = Doorbell(celery_app(settings_factory(broker_url=redis_url)))

    job_id = jobs.create(small_job(steps=2, evaluation={}), warnings=(), queue="default").id
    doorbell.ring("default")

    wait_until(lambda: jobs.get(job_id).state is JobState.SUCCEEDED, timeout_s=120)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(timeout=60) == 0


def test_a_worker_without_its_broker_finds_work_and_drains(
    start_worker, jobs: JobStore, unused_port: int, wait_until
) -> None:
    job_id = jobs.create(
        small_job(steps=MANY_STEPS, evaluation={}), warnings=(), queue="default"
    ).id
    worker = start_worker(broker_url=f"redis://127.0.0.1:{unused_port}/0", poll_interval_s=0.1)
    wait_until(lambda: jobs.get(job_id).progress.step > 0, timeout_s=120)

    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(timeout=60)

    assert jobs.get(job_id).state is JobState.QUEUED
    last_two = jobs.events(job_id).events[-2:]
    assert [event.type for event in last_two] == ["checkpoint_saved", "attempt_ended"]
    assert last_two[-1].message == "The worker was asked to stop."
    assert pids_of("worker.execute", job_id) == []


def test_the_second_signal_ends_a_worker_whose_job_does_not_stop(
    start_worker, jobs: JobStore, sqlite_url: str, redis_url: str, wait_until
) -> None:
    job_id = jobs.create(
        small_job(steps=MANY_STEPS, evaluation={}), warnings=(), queue="default"
    ).id
    worker = start_worker(broker_url=redis_url, poll_interval_s=0.1, stop_grace_s=600)
    wait_until(lambda: pids_of("worker.execute", job_id), timeout_s=120)
    (child_pid,) = pids_of("worker.execute", job_id)
    wait_until(lambda: is_frozen_without_the_lock(child_pid, sqlite_url))

    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in worker.log())
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(timeout=60)

    assert jobs.get(job_id).state is JobState.QUEUED
    assert jobs.events(job_id).events[-1].message == "The worker was asked to stop."
    assert not is_alive(child_pid)


def is_frozen_without_the_lock(pid: int, sqlite_url: str) -> bool:
    """Freezes the process, but not in the middle of a write, which others would wait half a minute for."""
    os.kill(pid, signal.SIGSTOP)
    connection = sqlite3.connect(make_url(sqlite_url).database, timeout=0.5)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        os.kill(pid, signal.SIGCONT)
        return False
    finally:
        connection.close()
    return True


def test_the_child_and_its_nursery_end_with_a_killed_worker(
    start_worker, jobs: JobStore, redis_url: str, wait_until
) -> None:
    job_id = jobs.create(
        small_job(steps=MANY_STEPS, evaluation={}), warnings=(), queue="default"
    ).id
    worker = start_worker(broker_url=redis_url, poll_interval_s=0.1)
    wait_until(lambda: pids_of("worker.execute", job_id), timeout_s=120)
    (child_pid,) = pids_of("worker.execute", job_id)
    guard_pid = parent_of(child_pid)
    nursery_pid = parent_of(guard_pid)
    assert parent_of(nursery_pid) == worker.process.pid

    worker.process.kill()

    wait_until(lambda: not any(map(is_alive, [child_pid, guard_pid, nursery_pid])))
