import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from service.errors import ErrorCode
from service.jobs.problem_sources import ArithmeticSource, PromptsSpec
from service.jobs.results import Job
from service.jobs.spec import JobSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.state import JobState
from service.jobs.teacher_spec import TeacherSpec
from service.storage.job_store import Claim, JobStore, Lease
from service.storage.sessions import Database
from tests.postgres_outage import postgres_outage
from tests.processes import is_alive
from tests.worker.scripted_child import (
    IGNORES_SIGTERM,
    SLEEPS,
    STARTS_A_GRANDCHILD,
    STOPS_AFTER_CHECKPOINT_ON_SIGTERM,
    WAITS_FOR_A_FILE,
    child_that,
    read_pid,
)
from worker.nursery_keeper import NurseryKeeper
from worker.supervisor import Supervisor

SPEC = JobSpec(
    student=ModelSpec(model="student"),
    teacher=TeacherSpec(model="teacher"),
    prompts=PromptsSpec(problems=ArithmeticSource()),
)
OUT_OF_MEMORY = {"code": "OUT_OF_MEMORY", "message": "Too big.", "violations": []}


class Bench:
    """One job in a real database and supervisors that run scripted children for it."""

    def __init__(self, database: Database, folder: Path, spec: JobSpec = SPEC) -> None:
        self.store = JobStore(database)
        self.folder = folder
        self.drain, self.at_once = threading.Event(), threading.Event()
        self.job_id = self.store.create(spec, warnings=(), queue="default").id

    def claim(self) -> Claim:
        claim = self.store.claim(queue="default", owner="test", lease_s=30)
        assert claim is not None
        return claim

    def attempt_dir(self, epoch: int = 1) -> Path:
        return self.folder / "jobs" / self.job_id / str(epoch)

    def supervisor(
        self,
        program: str,
        *,
        stop_grace_s: float = 20.0,
        nursery: NurseryKeeper | None = None,
    ) -> Supervisor:
        return Supervisor(
            job_store=self.store,
            artifact_root=self.folder,
            lease_s=30.0,
            heartbeat_s=0.05,
            stop_grace_s=stop_grace_s,
            max_attempts_without_progress=3,
            threads_per_job=3,
            drain=self.drain,
            at_once=self.at_once,
            child_command=child_that(program),
            nursery=nursery,
        )

    def run(self, program: str) -> Job:
        self.supervisor(program).supervise(self.claim())
        return self.job()

    def start(self, program: str, **options: Any) -> threading.Thread:
        thread = threading.Thread(
            target=self.supervisor(program, **options).supervise, args=[self.claim()]
        )
        thread.start()
        return thread

    def job(self) -> Job:
        return self.store.get(self.job_id)

    def last_message(self) -> str:
        return self.store.events(self.job_id).events[-1].message


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    return Bench(database, tmp_path / "artifacts")


@pytest.fixture
def sqlite_bench(sqlite_url: str, tmp_path: Path) -> Bench:
    return Bench(Database(sqlite_url), tmp_path / "artifacts")


def test_a_child_that_ends_well_makes_the_job_succeed(bench: Bench) -> None:
    job = bench.run("")

    assert job.state is JobState.SUCCEEDED
    states = [event.state for event in bench.store.events(bench.job_id).events]
    assert states == [JobState.QUEUED, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED]


def test_a_child_gets_its_threads_and_writes_to_the_log_of_its_attempt(sqlite_bench: Bench) -> None:
    sqlite_bench.run("print(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])")

    assert (sqlite_bench.attempt_dir() / "log.txt").read_text() == "3 3\n"


def test_a_paused_job_stops_its_child_waits_and_goes_on(bench: Bench, wait_until) -> None:
    thread = bench.start(STOPS_AFTER_CHECKPOINT_ON_SIGTERM)
    wait_until((bench.attempt_dir() / "child.pid").exists)
    assert bench.store.request_pause(bench.job_id).state is JobState.PAUSING
    thread.join(timeout=20)

    assert bench.job().state is JobState.PAUSED
    assert not is_alive(read_pid(bench.attempt_dir() / "child.pid"))
    assert bench.store.request_resume(bench.job_id).state is JobState.QUEUED
    assert bench.run("").state is JobState.SUCCEEDED
    assert bench.job().attempt == 2


def test_a_job_that_is_paused_before_its_child_listens_is_not_counted_as_crashed(
    sqlite_bench: Bench, wait_until
) -> None:
    thread = sqlite_bench.start(SLEEPS)
    wait_until((sqlite_bench.attempt_dir() / "child.pid").exists)
    sqlite_bench.store.request_pause(sqlite_bench.job_id)
    thread.join(timeout=20)

    assert sqlite_bench.job().state is JobState.PAUSED
    assert sqlite_bench.last_message() == "The attempt stopped for the pause."


def test_a_resume_that_comes_before_the_child_has_stopped_queues_the_job(
    sqlite_bench: Bench, wait_until
) -> None:
    thread = sqlite_bench.start(
        "signal.signal(signal.SIGTERM, lambda *_: announce('asked', 1));"
        + WAITS_FOR_A_FILE
        + "\nsys.exit(75)"
    )
    wait_until((sqlite_bench.attempt_dir() / "child.pid").exists)
    sqlite_bench.store.request_pause(sqlite_bench.job_id)
    wait_until((sqlite_bench.attempt_dir() / "asked").exists)
    assert sqlite_bench.store.request_resume(sqlite_bench.job_id).state is JobState.RUNNING
    (sqlite_bench.attempt_dir() / "end").touch()
    thread.join(timeout=20)

    assert sqlite_bench.job().state is JobState.QUEUED


def test_the_failure_that_a_child_leaves_becomes_the_jobs(bench: Bench) -> None:
    job = bench.run(
        f"(attempt_dir / 'failure.json').write_text({json.dumps(OUT_OF_MEMORY)!r}); sys.exit(1)"
    )

    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.code, job.failure.message) == (ErrorCode.OUT_OF_MEMORY, "Too big.")


def test_a_killed_child_is_queued_again_and_the_event_names_the_signal(bench: Bench) -> None:
    job = bench.run("print('half way', flush=True); os.kill(os.getpid(), signal.SIGKILL)")

    assert job.state is JobState.QUEUED
    assert "was killed by SIGKILL, which nothing in Driftgate sent" in bench.last_message()
    assert bench.last_message().endswith("half way")


def test_three_crashes_without_progress_quarantine_the_job(sqlite_bench: Bench) -> None:
    first, second, third = (sqlite_bench.run("1 / 0") for _ in range(3))

    assert [first.state, second.state] == [JobState.QUEUED, JobState.QUEUED]
    assert third.state is JobState.FAILED
    assert third.failure is not None
    assert third.failure.code is ErrorCode.POISON_QUARANTINED
    assert "ZeroDivisionError" in third.failure.message


def test_a_cancel_kills_the_child_with_everything_it_started(bench: Bench, wait_until) -> None:
    thread = bench.start(STARTS_A_GRANDCHILD)
    wait_until((bench.attempt_dir() / "child.pid").exists)

    bench.store.request_cancel(bench.job_id)
    thread.join(timeout=10)

    assert not thread.is_alive()
    assert bench.job().state is JobState.CANCELLED
    assert not is_alive(read_pid(bench.attempt_dir() / "child.pid"))
    assert not is_alive(read_pid(bench.attempt_dir() / "grandchild.pid"))


def test_what_a_child_leaves_running_ends_with_it(sqlite_bench: Bench) -> None:
    sqlite_bench.run("announce('grandchild.pid', subprocess.Popen(['sleep', '600']).pid)")

    assert sqlite_bench.job().state is JobState.SUCCEEDED
    assert not is_alive(read_pid(sqlite_bench.attempt_dir() / "grandchild.pid"))


def test_a_drain_lets_the_child_checkpoint_and_queues_the_job_uncounted(
    sqlite_bench: Bench, wait_until
) -> None:
    sqlite_bench.run("sys.exit(3)")
    sqlite_bench.run("sys.exit(3)")
    thread = sqlite_bench.start(STOPS_AFTER_CHECKPOINT_ON_SIGTERM)
    wait_until((sqlite_bench.attempt_dir(3) / "child.pid").exists)

    sqlite_bench.drain.set()
    thread.join(timeout=10)

    # A third counted attempt would have failed the job.
    assert sqlite_bench.job().state is JobState.QUEUED
    assert sqlite_bench.last_message() == "The worker was asked to stop."


def test_a_child_that_outstays_a_drains_grace_is_killed_and_not_counted(
    sqlite_bench: Bench, wait_until
) -> None:
    sqlite_bench.run("sys.exit(3)")
    sqlite_bench.run("sys.exit(3)")
    thread = sqlite_bench.start(IGNORES_SIGTERM, stop_grace_s=0.2)
    wait_until((sqlite_bench.attempt_dir(3) / "child.pid").exists)

    sqlite_bench.drain.set()
    thread.join(timeout=10)

    assert sqlite_bench.job().state is JobState.QUEUED
    assert not is_alive(read_pid(sqlite_bench.attempt_dir(3) / "child.pid"))


def test_the_second_signal_of_a_drain_kills_the_child_at_once_and_is_not_counted(
    sqlite_bench: Bench, wait_until
) -> None:
    sqlite_bench.run("sys.exit(3)")
    sqlite_bench.run("sys.exit(3)")
    thread = sqlite_bench.start(IGNORES_SIGTERM, stop_grace_s=600)
    wait_until((sqlite_bench.attempt_dir(3) / "child.pid").exists)
    sqlite_bench.drain.set()

    sqlite_bench.at_once.set()
    thread.join(timeout=10)

    assert sqlite_bench.job().state is JobState.QUEUED
    assert not is_alive(read_pid(sqlite_bench.attempt_dir(3) / "child.pid"))


@pytest.mark.parametrize("stops_in_time", [True, False])
def test_a_job_at_its_deadline_may_save_and_fails_with_that_code(
    sqlite_url: str, tmp_path: Path, stops_in_time: bool
) -> None:
    bench = Bench(Database(sqlite_url), tmp_path, SPEC.model_copy(update={"max_runtime_s": 1}))
    program = STOPS_AFTER_CHECKPOINT_ON_SIGTERM if stops_in_time else IGNORES_SIGTERM

    thread = bench.start(program, stop_grace_s=0.3)
    thread.join(timeout=20)

    job = bench.job()
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.code is ErrorCode.DEADLINE_EXCEEDED
    assert not is_alive(read_pid(bench.attempt_dir() / "child.pid"))


def test_a_crash_of_native_code_leaves_its_python_traceback_with_the_job(
    sqlite_bench: Bench,
) -> None:
    sqlite_bench.run(
        "import ctypes, faulthandler; faulthandler.enable()\n"
        "def gather_from_nowhere(): ctypes.string_at(0)\n"
        "gather_from_nowhere()"
    )

    message = sqlite_bench.last_message()
    assert message.startswith("The training process crashed in native code (SIGSEGV).")
    assert "Fatal Python error: Segmentation fault" in message
    assert "in gather_from_nowhere" in message


def test_ranks_of_a_torchrun_end_with_a_cancelled_job(sqlite_bench: Bench, wait_until) -> None:
    (sqlite_bench.folder.parent / "rank.py").write_text(
        "import os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[1], os.environ['RANK'] + '.rank').write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    rank_program = str(sqlite_bench.folder.parent / "rank.py")
    thread = sqlite_bench.start(
        "subprocess.Popen([sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', "
        f"'--standalone', {rank_program!r}, str(attempt_dir)]);" + SLEEPS
    )
    rank_files = [sqlite_bench.attempt_dir() / f"{rank}.rank" for rank in range(2)]
    wait_until(lambda: all(path.exists() and path.read_text() for path in rank_files), timeout_s=90)
    pids = [read_pid(path) for path in rank_files]
    # They are in sessions of their own, where no signal to the child's group reaches them.
    assert {os.getsid(pid) for pid in pids} == set(pids)

    sqlite_bench.store.request_cancel(sqlite_bench.job_id)
    thread.join(timeout=20)

    assert sqlite_bench.job().state is JobState.CANCELLED
    assert not any(map(is_alive, pids))


def test_a_job_whose_nursery_dies_before_it_started_is_started_without(
    sqlite_bench: Bench,
) -> None:
    nursery = NurseryKeeper(environment={}, modules=["there.is.no.such.module"])
    nursery.start()
    while nursery.pid is None:
        time.sleep(0.01)

    thread = sqlite_bench.start("print('started without')", nursery=nursery)
    thread.join(timeout=20)
    nursery.close()

    assert sqlite_bench.job().state is JobState.SUCCEEDED
    assert "started without" in (sqlite_bench.attempt_dir() / "log.txt").read_text()


def test_a_lost_lease_kills_the_child_and_writes_nothing(bench: Bench, wait_until) -> None:
    thread = bench.start(SLEEPS)
    wait_until((bench.attempt_dir() / "child.pid").exists)

    running = Lease(job_id=bench.job_id, epoch=1, owner="test")
    bench.store.release(running, message="Taken.", counted=False, max_attempts=3)
    thief = bench.claim()
    thread.join(timeout=10)

    assert not thread.is_alive()
    assert not is_alive(read_pid(bench.attempt_dir() / "child.pid"))
    assert bench.job().state is JobState.STARTING
    assert bench.job().attempt == thief.lease.epoch == 2
    assert bench.last_message() == "Claimed by test."


def test_a_child_works_on_while_the_database_is_away_and_its_end_is_not_lost(
    postgres_url: str, postgres_server: str, tmp_path: Path, wait_until, caplog
) -> None:
    bench = Bench(Database(postgres_url), tmp_path / "artifacts")
    thread = bench.start(WAITS_FOR_A_FILE)
    wait_until((bench.attempt_dir() / "child.pid").exists)
    with postgres_outage(postgres_server, postgres_url):
        wait_until(lambda: caplog.text.count("trains on without heartbeat") >= 2)
        assert is_alive(read_pid(bench.attempt_dir() / "child.pid"))
        (bench.attempt_dir() / "end").touch()
        wait_until(lambda: not is_alive(read_pid(bench.attempt_dir() / "child.pid")))

    thread.join(timeout=20)

    assert bench.job().state is JobState.SUCCEEDED


def test_a_child_whose_attempt_folder_cannot_be_made_counts_as_a_crash(
    sqlite_bench: Bench,
) -> None:
    sqlite_bench.folder.write_text("a file where the folder should be")

    job = sqlite_bench.run("")

    assert job.state is JobState.QUEUED
    assert "Not a directory" in sqlite_bench.last_message()


SUPERVISING_PROGRAM = """
import sys, threading
from pathlib import Path
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from tests.worker.scripted_child import SLEEPS, child_that
from worker.supervisor import Supervisor

store = JobStore(Database(sys.argv[1]))
supervisor = Supervisor(
    job_store=store, artifact_root=Path(sys.argv[2]), lease_s=30, heartbeat_s=0.1, stop_grace_s=20,
    max_attempts_without_progress=3, threads_per_job=1, drain=threading.Event(),
    child_command=child_that(SLEEPS),
)
claim = store.claim(queue="default", owner="killed", lease_s=30)
thread = threading.Thread(target=supervisor.supervise, args=[claim])
thread.start()
thread.join()
"""


def test_a_child_does_not_outlive_a_killed_supervising_process(
    sqlite_url: str, sqlite_bench: Bench, wait_until
) -> None:
    command = [sys.executable, "-c", SUPERVISING_PROGRAM, sqlite_url, str(sqlite_bench.folder)]
    with subprocess.Popen(command) as supervising:
        wait_until((sqlite_bench.attempt_dir() / "child.pid").exists)
        child_pid = read_pid(sqlite_bench.attempt_dir() / "child.pid")
        assert is_alive(child_pid)

        os.kill(supervising.pid, signal.SIGKILL)

    wait_until(lambda: not is_alive(child_pid))
