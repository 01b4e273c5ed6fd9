"""Several ranks as one child: how it is asked to stop, how it ends, and a real job that loses a rank."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.jobs.state import JobState
from tests.processes import is_alive, pids_of
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job


@pytest.fixture
def bench(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("DRIFTGATE_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    return Bench(sqlite_url, tmp_path / "artifacts")


def launch(folder: Path, deed: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "worker.ranks", "2", str(folder / ".ranks")]
    return subprocess.Popen(
        [*command, "tests.worker.rank_program", str(folder), deed],
        env={**os.environ, "PYTHONPATH": "."},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_request_to_stop_goes_to_the_first_rank_and_its_status_is_that_of_all(
    tmp_path: Path, wait_until
) -> None:
    child = launch(tmp_path, "waits")
    wait_until((tmp_path / "ready").exists, timeout_s=60)

    child.send_signal(signal.SIGTERM)

    assert child.wait(timeout=60) == 75
    ranks = [int((tmp_path / f"rank{rank}").read_text()) for rank in range(2)]
    assert not any(is_alive(pid) for pid in ranks)


def test_it_ends_as_the_rank_did_that_ended_first_and_says_which(tmp_path: Path) -> None:
    child = launch(tmp_path, "is killed")

    _, told = child.communicate(timeout=60)

    assert child.returncode == -signal.SIGKILL
    assert "rank 1 of 2 was ended by SIGKILL" in told.splitlines()[-1]


def test_a_job_that_loses_a_rank_says_so_and_leaves_no_process(bench: Bench, wait_until) -> None:
    job_id = bench.submit(small_job(compute={}, resources={"gpus": 2}, steps=1000, evaluation={}))

    attempt = bench.start_attempt()
    wait_until(lambda: bench.num_saved(job_id) > 0, timeout_s=120)
    ranks = set(pids_of("worker.execute", job_id)) - set(pids_of("worker.ranks", job_id))
    os.kill(max(ranks), signal.SIGKILL)
    attempt.join()

    assert len(ranks) == 2
    assert bench.jobs.get(job_id).state is JobState.QUEUED
    told = [event.message or "" for event in bench.jobs.events(job_id).events]
    (cause,) = [message for message in told if "was killed by SIGKILL" in message]
    assert "of 2 was ended by SIGKILL" in cause
    assert pids_of(job_id) == []
