"""A real job whose checkpoints are in a bucket of a real S3 server, by the settings of its worker alone."""

import json
import os
import signal
from functools import partial

import pytest

from service.jobs.export_spec import FolderDestination
from service.jobs.spec import ExportJobSpec, JobKind
from service.jobs.state import JobState
from service.settings import Settings
from tests.processes import pids_of
from tests.s3_server import Bucket
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker.attempt_engines import transformers_engine


@pytest.fixture
def settings(
    settings_factory, sqlite_url: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Of this process, and by the environment of the children."""
    settings: Settings = settings_factory(database_url=sqlite_url, **bucket.settings())
    environment = {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": sqlite_url,
        "ARTIFACT_URL": settings.artifact_url,
        "ARTIFACT_ENDPOINT": settings.artifact_endpoint,
        "ARTIFACT_REGION": settings.artifact_region,
        "ARTIFACT_CREDENTIALS": ",".join(settings.artifact_credentials),
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"DRIFTGATE_{name}", str(value))
    return settings


@pytest.fixture
def bench(settings: Settings, sqlite_url: str) -> Bench:
    return Bench(sqlite_url, settings.resolved_artifact_root())


def final_files(bench: Bench, bucket: Bucket, job_id: str) -> dict[str, str]:
    """SHA-256 of every file of the final checkpoint, by the manifest in the bucket."""
    newest = bench.results.latest_checkpoints(job_id)[0]
    assert newest.final
    name = newest.uri.removeprefix(f"s3://{bucket.name}/")
    files = json.loads(bucket.get(f"{name}/manifest.json"))["files"]
    return {name: entry["sha256"] for name, entry in files.items()}


def test_a_job_killed_and_resumed_from_the_last_sound_checkpoint_ends_as_one_that_was_not(
    bench: Bench, bucket: Bucket, settings: Settings, wait_until
) -> None:
    # Only the attempt that is killed needs a process of its own, which takes seconds to start.
    run_here = partial(bench.run_here, settings=settings, make_engine=transformers_engine)
    job_id = bench.submit(small_job(steps=8))
    killed = bench.start_attempt()
    wait_until(lambda: len(bench.saved_steps(job_id)) == 2, timeout_s=240)
    os.kill(pids_of("worker.execute", job_id)[0], signal.SIGKILL)
    killed.join()
    newest, older = bench.results.latest_checkpoints(job_id)[:2]
    weights = newest.uri.removeprefix(f"s3://{bucket.name}/") + "/model.safetensors"
    content = bucket.get(weights)
    bucket.put(weights, content[:-1] + bytes([content[-1] ^ 1]))
    job = bench.attempt_here(job_id, settings=settings, make_engine=transformers_engine)
    unbroken = run_here(small_job(steps=8))

    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2), job.failure
    events = bench.jobs.events(job_id).events
    (skipped,) = (each.message for each in events if each.type == "checkpoint_skipped")
    assert "model.safetensors" in skipped
    resumed = [each.message for each in events if each.type == "training_started"][-1]
    assert resumed == f"Training starts after step {older.step}, update {older.update}."
    assert final_files(bench, bucket, job_id) == final_files(bench, bucket, unbroken.id)
    assert bench.computed_metrics(job_id) == bench.computed_metrics(unbroken.id)
    assert bench.outcomes(job_id) == bench.outcomes(unbroken.id)

    # The last two, and nothing but the log on the worker's own disk.
    assert bench.saved_steps(job_id) == [8, 6]
    kept = {name.rpartition("/")[0] for name in bucket.names() if f"/{job_id}/" in name}
    assert {name.rpartition("-")[2] for name in kept} == {"8", "6"}
    jobs_folder = settings.resolved_artifact_root() / "jobs"
    assert {path.name for path in jobs_folder.rglob("*") if path.is_file()} == {"log.txt"}

    # What is in the bucket begins another job, and goes elsewhere.
    one_tiny_update = {"steps": 1, "reuse": {"epochs": 1}, "optimizer": {"learning_rate": 1e-30}}
    warm = run_here(small_job(warm_start={"job_id": job_id}, **one_tiny_update))
    ended_with = final_files(bench, bucket, job_id)["model.safetensors"]
    assert final_files(bench, bucket, warm.id)["model.safetensors"] == ended_with
    destination = FolderDestination(path="students/first")
    run_here(ExportJobSpec(kind=JobKind.EXPORT, job_id=job_id, destination=destination))
    manifest = (settings.resolved_export_root() / destination.path / "manifest.json").read_bytes()
    assert json.loads(manifest)["files"]["model.safetensors"]["sha256"] == ended_with
