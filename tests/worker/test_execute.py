import os
import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.errors import ErrorCode
from service.jobs.results import Job
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.settings import load_settings
from tests.processes import parent_of, pids_of
from tests.worker.bench import Bench
from tests.worker.nursed_attempt import SharedNursery
from tests.worker.small_jobs import small_job
from worker.attempt_end import StopRequestedError
from worker.attempt_engines import transformers_engine
from worker.execute import run

STEPS = 16

CHILD_WITHOUT_GRADER = """
import sys
from worker.evaluation.symbolic.pool import GraderUnavailableError, SymbolicPool
from worker.execute import main

def refuse(_pool, _questions):
    raise GraderUnavailableError("a process for symbolic grading was not ready after 120 s")

SymbolicPool.ask = refuse
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def bench(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: SharedNursery
) -> Bench:
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("DRIFTGATE_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    return Bench(sqlite_url, tmp_path / "artifacts", nursery=nursery)


@dataclass(frozen=True)
class FinishedRun:
    """A job that nothing interrupted, in a process of its own, and the bench that it ran on."""

    bench: Bench
    job: Job


@pytest.fixture(scope="module")
def unbroken(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("unbroken")
    shutil.copy(sqlite_template, folder / "driftgate.db")
    database_url = f"sqlite:///{folder / 'driftgate.db'}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DRIFTGATE_DATABASE_URL", database_url)
        environment.setenv("DRIFTGATE_ARTIFACT_ROOT", str(folder / "artifacts"))
        bench = Bench(database_url, folder / "artifacts")
        return FinishedRun(bench, bench.run(small_job(steps=STEPS)))


def test_a_job_trains_evaluates_and_keeps_its_last_checkpoints(unbroken: FinishedRun) -> None:
    bench, job = unbroken.bench, unbroken.job

    assert job.state is JobState.SUCCEEDED, job.failure
    assert (job.progress.step, job.progress.update) == (STEPS, 2 * STEPS)
    chosen = [e for e in bench.jobs.events(job.id).events if e.type == "compute_chosen"]
    assert [(e.attempt, e.message.partition(":")[0]) for e in chosen] == [
        (1, "Computing in float32 on cpu")
    ]
    assert bench.results.metrics(job.id).update == tuple(range(1, 2 * STEPS + 1))
    assert [stage for stage, *_ in bench.outcomes(job.id)] == ["baseline", "final"]
    before, after = bench.distances(job.id)
    assert [one.stage for one in (before, after)] == ["baseline", "final"]
    assert min(before.mean_nats, after.mean_nats) > 0.1
    assert before.mean_nats != after.mean_nats
    assert (after.estimator, after.num_responses) == ("full_vocabulary", 8)
    assert bench.saved_steps(job.id) == [16, 14]
    folders = Path(bench.results.latest_checkpoints(job.id)[0].uri).parent.glob("step-*")
    assert sorted(folder.name for folder in folders) == ["step-14", "step-16"]


def test_killed_and_drained_attempts_end_in_the_weights_of_an_unbroken_run(
    bench: Bench, unbroken: FinishedRun, wait_until
) -> None:
    job_id = bench.submit(small_job(steps=STEPS))

    killed = bench.start_attempt()
    wait_until(lambda: bench.num_saved(job_id) > 0, timeout_s=120)
    os.kill(pids_of("worker.execute", job_id)[0], signal.SIGKILL)
    killed.join()
    num_saved = bench.num_saved(job_id)
    drained = bench.start_attempt()
    wait_until(lambda: bench.num_saved(job_id) > num_saved, timeout_s=120)
    bench.drain.set()
    drained.join()
    bench.drain.clear()
    job = bench.run_attempt(job_id)

    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 3)
    resumed_steps = [
        event.message
        for event in bench.jobs.events(job_id).events
        if event.type == "training_started"
    ]
    assert resumed_steps[0] == "Training starts after step 0, update 0."
    assert len(set(resumed_steps)) == 3
    kept = bench.kept_drift(job_id)
    assert [update for update, _ in kept] == list(range(1, 2 * STEPS + 1))
    assert kept == unbroken.bench.kept_drift(unbroken.job.id)
    assert bench.final_weights(job_id) == unbroken.bench.final_weights(unbroken.job.id)
    assert bench.computed_metrics(job_id) == unbroken.bench.computed_metrics(unbroken.job.id)
    assert bench.outcomes(job_id) == unbroken.bench.outcomes(unbroken.job.id)
    assert bench.distances(job_id) == unbroken.bench.distances(unbroken.job.id)


def test_a_child_forked_from_a_nursery_ends_in_the_weights_of_a_started_one(
    bench: Bench, unbroken: FinishedRun, wait_until
) -> None:
    job_id = bench.submit(small_job(steps=STEPS))

    attempt = bench.start_attempt()
    wait_until(lambda: pids_of("worker.execute", job_id), timeout_s=120)
    (child_pid,) = pids_of("worker.execute", job_id)
    assert parent_of(parent_of(child_pid)) == bench.supervisor.nursery.pid
    attempt.join()

    assert bench.jobs.get(job_id).state is JobState.SUCCEEDED
    assert bench.final_weights(job_id) == unbroken.bench.final_weights(unbroken.job.id)
    assert bench.computed_metrics(job_id) == unbroken.bench.computed_metrics(unbroken.job.id)
    assert bench.outcomes(job_id) == unbroken.bench.outcomes(unbroken.job.id)


def test_a_corrupt_checkpoint_is_passed_over_for_the_one_before(
    bench: Bench, unbroken: FinishedRun, wait_until
) -> None:
    job_id = bench.submit(small_job(steps=STEPS))
    killed = bench.start_attempt()
    wait_until(lambda: len(bench.saved_steps(job_id)) >= 2, timeout_s=120)
    os.kill(pids_of("worker.execute", job_id)[0], signal.SIGKILL)
    killed.join()
    newest, older = bench.results.latest_checkpoints(job_id)[:2]
    weights = Path(newest.uri) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")

    job = bench.run_attempt(job_id)

    assert job.state is JobState.SUCCEEDED
    resumed = [e for e in bench.jobs.events(job_id).events if e.type == "training_started"][-1]
    assert resumed.message == f"Training starts after step {older.step}, update {older.update}."
    assert bench.final_weights(job_id) == unbroken.bench.final_weights(unbroken.job.id)


@pytest.fixture
def after_unbroken(
    unbroken: FinishedRun, monkeypatch: pytest.MonkeyPatch, nursery: SharedNursery
) -> Bench:
    """The database and the artifacts of the unbroken run, for further jobs."""
    database_url = unbroken.bench.database_url
    artifact_root = unbroken.bench.supervisor.artifact_root
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("DRIFTGATE_ARTIFACT_ROOT", str(artifact_root))
    return Bench(database_url, artifact_root, nursery=nursery)


def warm_job(unbroken: FinishedRun, **warm_start: object) -> JobSpec:
    """One update, too small to move a weight, from what the unbroken job saved."""
    return small_job(
        warm_start={"job_id": unbroken.job.id} | warm_start,
        steps=1,
        reuse={"epochs": 1},
        optimizer={"learning_rate": 1e-30},
    )


def test_a_warm_start_begins_with_the_weights_that_an_earlier_job_ended_with(
    after_unbroken: Bench, unbroken: FinishedRun
) -> None:
    bench = after_unbroken

    job = bench.run(warm_job(unbroken))

    assert job.state is JobState.SUCCEEDED, job.failure
    assert (job.progress.step, job.progress.update) == (1, 1)
    assert bench.final_weights(job.id) == bench.final_weights(unbroken.job.id)
    assert [stage for stage, *_ in bench.outcomes(job.id)] == ["baseline", "final"]


def test_a_warm_start_from_files_that_have_changed_fails_naming_the_file(
    after_unbroken: Bench, unbroken: FinishedRun
) -> None:
    bench = after_unbroken
    older = bench.results.latest_checkpoints(unbroken.job.id)[1]
    (Path(older.uri) / "config.json").write_text("{}")

    job = bench.run(warm_job(unbroken, step=older.step))

    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.code is ErrorCode.CHECKPOINT_CORRUPT
    assert "config.json" in job.failure.message


def test_adapters_of_a_killed_job_end_in_the_weights_of_an_unbroken_run(
    bench: Bench, wait_until
) -> None:
    schedule = {"type": "cosine", "warmup_updates": 4}
    spec = small_job(
        steps=12,
        lora={"rank": 4},
        optimizer={"learning_rate": 1e-3, "schedule": schedule},
        compute={"device": "cpu", "gradient_checkpointing": True},
    )
    unbroken_id, job_id = bench.run(spec).id, bench.submit(spec)

    killed = bench.start_attempt()
    wait_until(lambda: bench.num_saved(job_id) > 0, timeout_s=120)
    os.kill(pids_of("worker.execute", job_id)[0], signal.SIGKILL)
    killed.join()
    job = bench.run_attempt(job_id)

    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2), job.failure
    assert bench.final_weights(job_id) == bench.final_weights(unbroken_id)
    assert bench.computed_metrics(job_id) == bench.computed_metrics(unbroken_id)
    assert bench.outcomes(job_id) == bench.outcomes(unbroken_id)


def test_what_only_the_worker_can_see_fails_the_job_with_its_code(bench: Bench) -> None:
    job = bench.run(small_job(student={"model": "gone"}))

    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.code is ErrorCode.MODEL_NOT_FOUND
    assert job.failure.violations[0].field == "student.model"


def test_a_grader_that_does_not_start_ends_the_attempt_and_not_the_job(
    bench: Bench, tmp_path: Path
) -> None:
    program = tmp_path / "child.py"
    program.write_text(CHILD_WITHOUT_GRADER)

    job = Bench(bench.database_url, tmp_path / "artifacts", child=program).run(small_job(steps=2))

    assert (job.state, job.failure) == (JobState.QUEUED, None)
    ended = [e.message for e in bench.jobs.events(job.id).events if e.type == "attempt_ended"]
    assert ["symbolic grading was not ready" in message for message in ended] == [True], ended
    assert bench.run_attempt(job.id).state is JobState.SUCCEEDED


def test_an_attempt_that_is_to_stop_before_it_trains_makes_no_update(
    bench: Bench, tmp_path: Path
) -> None:
    job_id = bench.submit(small_job(evaluation={}))
    lease = bench.jobs.claim(queue="default", owner="test", lease_s=30).lease
    bench.jobs.start_running(lease)
    stop = threading.Event()
    stop.set()

    with pytest.raises(StopRequestedError):
        run(
            lease,
            attempt_dir=tmp_path / "artifacts" / "jobs" / job_id / "1",
            settings=load_settings(),
            stop=stop,
            make_engine=transformers_engine,
        )

    assert bench.results.metrics(job_id).update == ()
