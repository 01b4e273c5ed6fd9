"""A job with checkpoints on disk, made of a few bytes in place of a model."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.artifacts.stores import open_artifacts
from service.jobs.results import Checkpoint, Job
from service.jobs.state import JobState
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.worker.small_jobs import small_job
from worker.training.checkpoints import write_checkpoint

WEIGHTS = bytes(range(256)) * 16
FILES = {
    "adapter/adapter_config.json": b"{}",
    "config.json": b'{"model_type": "tiny"}',
    "model.safetensors": WEIGHTS,
    "optimizer.safetensors": b"moments" * 200,
    "trainer_state.json": b"{}",
}
LOADABLE = ["adapter/adapter_config.json", "config.json", "model.safetensors"]


@dataclass
class SavedJob:
    """A job that has ended, `steps` of it kept."""

    jobs: JobStore
    results: ResultStore
    settings: Settings
    job: Job
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)

    def folder(self, step: int) -> Path:
        return Path(self.checkpoints[step].uri)

    def key(self, step: int) -> str:
        return f"jobs/{self.job.id}/1/step-{step}"


def saved_job(database: Database, settings: Settings, *, steps=(2, 4), files=None) -> SavedJob:
    """The last of the steps is the final one."""
    jobs, results = JobStore(database), ResultStore(database)
    job_id = jobs.create(small_job(name="taught"), warnings=(), queue="saved").id
    lease = jobs.claim(queue="saved", owner="test", lease_s=60).lease
    assert lease.job_id == job_id
    jobs.start_running(lease)
    store = open_artifacts(settings).written
    for step in steps:
        key = f"jobs/{job_id}/1/step-{step}"
        folder = store.local_path(key) or settings.data_dir / "unsent" / f"step-{step}"
        record = write_checkpoint(
            lambda path: _write(path, FILES if files is None else files),
            folder=folder,
            step=step,
            update=2 * step,
            final=step == steps[-1],
        )
        store.put_folder(folder, key)
        results.record_checkpoint(lease, replace(record, uri=store.uri(key)))
    jobs.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    saved = SavedJob(jobs, results, settings, jobs.get(job_id))
    saved.checkpoints = {each.step: each for each in results.latest_checkpoints(job_id)}
    return saved


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cuts the last byte off."""
    path.write_bytes(path.read_bytes()[:-1])


def lose(saved: SavedJob, step: int) -> None:
    """Takes the folder away, as where the host does not see the store."""
    shutil.rmtree(saved.folder(step))
