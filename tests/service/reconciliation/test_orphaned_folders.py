import os
import time
from datetime import timedelta

import pytest
from sqlalchemy import update

from service.jobs.records import CheckpointRecord
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.reconciliation.orphaned_folders import remove_orphaned_folders
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.tables import JobRow

DAY_S = 24 * 3600
SPEC = JobSpec.model_validate(
    {
        "student": {"model": "builtin/arithmetic-student"},
        "teacher": {"model": "builtin/arithmetic-teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
    }
)


class World:
    """A job that saved `step-1` and left `step-2` without a row, and a scratch folder, two days ago."""

    def __init__(self, database, root):
        self.database = database
        self.root = root
        self.jobs = JobStore(database)
        self.job_id = self.jobs.create(SPEC, warnings=(), queue="q").id
        self.lease = self.jobs.claim(queue="q", owner="worker", lease_s=60).lease
        self.jobs.start_running(self.lease)
        self.attempt = root / "jobs" / self.job_id / "1"
        record = CheckpointRecord(1, 6, str(self.attempt / "step-1"), 1, "", final=False)
        ResultStore(database).record_checkpoint(self.lease, record)
        for name in ("step-1", "step-2", ".step-3.partial", "logs"):
            self.make(self.attempt / name)
        (self.attempt / "log.txt").touch()

    def make(self, folder, *, days_old=2):
        folder.mkdir(parents=True)
        (folder / "weights").write_text("…")
        then = time.time() - days_old * DAY_S
        os.utime(folder / "weights", (then, then))
        os.utime(folder, (then, then))

    def end(self, *, days_ago=2):
        self.jobs.finish(self.lease, state=JobState.FAILED, failure=None, message="Bad.")
        with self.database.transaction() as session:
            ended = self.database.now(session) - timedelta(days=days_ago)
            session.execute(update(JobRow).values(finished_at=ended))

    def sweep(self):
        remove_orphaned_folders(self.database, self.root)
        return sorted(path.name for path in self.attempt.iterdir())


ALL = [".step-3.partial", "log.txt", "logs", "step-1", "step-2"]


@pytest.fixture
def world(database, tmp_path):
    return World(database, tmp_path / "artifacts")


def test_folders_without_a_row_of_a_job_that_ended_go(world):
    world.end()
    assert world.sweep() == ["log.txt", "logs", "step-1"]
    assert world.sweep() == ["log.txt", "logs", "step-1"]


def test_a_job_that_goes_on_keeps_everything(world):
    assert world.sweep() == ALL


def test_a_job_that_has_just_ended_keeps_everything(world):
    world.end(days_ago=0)
    assert world.sweep() == ALL


def test_a_folder_that_was_written_lately_stays(world):
    world.end()
    world.make(world.attempt / "step-9", days_old=0)
    (world.attempt / "step-2" / "weights").write_text("written again by a worker that lost its job")
    assert world.sweep() == ["log.txt", "logs", "step-1", "step-2", "step-9"]


def test_folders_of_jobs_that_another_database_may_know_stay(world):
    strange = world.root / "jobs" / ("0123" * 8) / "1" / "step-1"
    world.make(strange)
    elsewhere = world.root / "jobs" / "notes" / "1" / "step-1"
    world.make(elsewhere)
    world.sweep()
    assert strange.exists()
    assert elsewhere.exists()


def test_no_link_is_followed(world, tmp_path):
    world.end()
    outside = tmp_path / "outside" / "step-5"
    world.make(outside)
    (world.attempt / "step-5").symlink_to(outside)
    (world.attempt.parent / "2").symlink_to(outside.parent)
    world.sweep()
    assert (outside / "weights").exists()


def test_a_host_without_the_artifact_root_has_nothing_to_do(database, tmp_path):
    remove_orphaned_folders(database, tmp_path / "not-there")
