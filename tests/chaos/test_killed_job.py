"""A real job that is killed anywhere ends with the bits of one that nothing disturbed: weights, metrics, samples."""

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from service.jobs.state import TERMINAL_STATES, JobState
from tests.processes import pids_of
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker.nursery_keeper import NurseryKeeper
from worker.supervisor import child_environment

SEED = 1
NUM_KILLS = 7
# Of the time that the unbroken job took: a kill leaves something to do on any machine.
LATEST_KILL = 0.25
JOB = {
    "steps": 10,
    "checkpoint": {"every_steps": 3, "keep_last": 2},
    "evaluation": {
        "benchmarks": [{"name": "digits", "problems": {"source": "arithmetic", "num_problems": 4}}],
        "samples_per_problem": 8,
        "max_response_tokens": 24,
        "during_training": {"every_steps": 4},
    },
}


@pytest.fixture
def bench(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("DRIFTGATE_DATA_DIR", str(tmp_path / "var"))
    nursery = NurseryKeeper(environment=child_environment(1))
    nursery.start()
    bench = Bench(sqlite_url, tmp_path / "artifacts")
    # Most kills come before the next checkpoint.
    bench.supervisor = replace(
        bench.supervisor, nursery=nursery, max_attempts_without_progress=NUM_KILLS + 1
    )
    yield bench
    nursery.close()


def samples_of(bench: Bench, job_id: str) -> list[tuple[object, ...]]:
    """Without how long they took."""
    return [
        (stage, *astuple(replace(sample, sampling_ms=0.0, grading_ms=0.0)))
        for stage in bench.results.stages_sampled(job_id)
        for sample in bench.results.samples_with_text(job_id, stage=stage)
    ]


def seconds_of_work(bench: Bench, job_id: str) -> float:
    """From when the child began to load until the job's end."""
    events = bench.jobs.events(job_id).events
    began_at = next(event.at for event in events if event.type == "phase_changed")
    return (events[-1].at - began_at).total_seconds()


@pytest.mark.timeout(900)
def test_a_job_killed_at_random_points_ends_with_the_bits_of_an_unbroken_one(
    bench: Bench, wait_until
) -> None:
    unbroken_id = bench.run(small_job(**JOB)).id
    job_id = bench.submit(small_job(**JOB))
    choices = random.Random(SEED)
    latest_kill_s = LATEST_KILL * seconds_of_work(bench, unbroken_id)
    waits_s = [choices.uniform(0, latest_kill_s) for _ in range(NUM_KILLS)]

    for wait_s in waits_s:
        attempt = bench.start_attempt()
        wait_until(lambda: pids_of("worker.execute", job_id))
        time.sleep(wait_s)
        for pid in pids_of("worker.execute", job_id):
            os.kill(pid, signal.SIGKILL)
        attempt.join()
        if bench.jobs.get(job_id).state in TERMINAL_STATES:
            break
    else:
        bench.run_attempt(job_id)

    job = bench.jobs.get(job_id)
    assert job.state is JobState.SUCCEEDED, job.failure
    assert job.attempt > 2, "the job was over before it was killed twice"
    assert bench.final_weights(job_id) == bench.final_weights(unbroken_id)
    assert bench.computed_metrics(job_id) == bench.computed_metrics(unbroken_id)
    assert bench.outcomes(job_id) == bench.outcomes(unbroken_id)
    assert samples_of(bench, job_id) == samples_of(bench, unbroken_id)
    assert len(samples_of(bench, job_id)) == 4 * 32
