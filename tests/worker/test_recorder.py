import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.records import CheckpointRecord, UpdateRecord
from service.jobs.state import JobPhase
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.postgres_outage import postgres_outage
from tests.worker.small_jobs import small_job
from worker.recorder import Recorder
from worker.spool import SPOOL_FILE, Spool


class Attempt:
    """A claimed job and the recorder of its attempt."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.jobs, self.results = JobStore(database), ResultStore(database)
        self.job_id = self.jobs.create(small_job(), warnings=(), queue="default").id
        claim = self.jobs.claim(queue="default", owner="test", lease_s=30)
        assert claim is not None
        self.lease: Lease = claim.lease
        self.spool_path = folder / SPOOL_FILE
        self.recorder = Recorder(
            job_store=self.jobs,
            result_store=self.results,
            lease=self.lease,
            spool=Spool(self.spool_path),
        )

    def updates(self) -> tuple[int, ...]:
        return self.results.metrics(self.job_id).update

    def saved_updates(self) -> list[int]:
        return [checkpoint.update for checkpoint in self.results.latest_checkpoints(self.job_id)]


def update_record(update: int) -> UpdateRecord:
    return UpdateRecord(step=update, update=update, metrics={Metric.LOSS: 0.5}, drift_by_block=())


def checkpoint_record(update: int) -> CheckpointRecord:
    return CheckpointRecord(
        step=update,
        update=update,
        uri=f"/checkpoints/step-{update}",
        size_bytes=1,
        manifest_sha256="0" * 64,
        final=False,
    )


def test_an_update_is_stored_with_the_time_at_which_it_was_recorded(
    database: Database, tmp_path: Path
) -> None:
    attempt = Attempt(database, tmp_path)
    before = datetime.now(UTC)
    attempt.recorder.record_update(update_record(1))
    after = datetime.now(UTC)
    time.sleep(0.01)
    attempt.recorder.flush()
    at = attempt.results.latest_metrics(attempt.job_id).metrics["train/loss"].at
    assert at is not None
    assert before <= at <= after


def test_updates_wait_for_the_next_flush_and_a_checkpoint_is_one(
    database: Database, tmp_path: Path
) -> None:
    attempt = Attempt(database, tmp_path)
    for update in range(1, 601):
        attempt.recorder.record_update(update_record(update))

    assert attempt.recorder.record_now(checkpoint_record(600))

    assert attempt.updates() == tuple(range(1, 601))
    assert attempt.saved_updates() == [600]
    assert attempt.jobs.get(attempt.job_id).progress.update == 600


def test_updates_alone_are_written_after_a_while(
    database: Database, tmp_path: Path, wait_until
) -> None:
    attempt = Attempt(database, tmp_path)
    attempt.recorder.record_update(update_record(1))
    next_update = iter(range(2, 100_000))

    def record_another() -> bool:
        attempt.recorder.record_update(update_record(next(next_update)))
        return len(attempt.updates()) > 1

    wait_until(record_another)


def test_the_first_update_is_written_at_once(database: Database, tmp_path: Path) -> None:
    attempt = Attempt(database, tmp_path)

    attempt.recorder.record_update(update_record(1))

    assert attempt.updates() == (1,)


def test_writes_wait_out_an_outage_on_disk_and_are_written_in_their_order(
    postgres_url: str, postgres_server: str, tmp_path: Path
) -> None:
    attempt = Attempt(Database(postgres_url), tmp_path)
    attempt.recorder.flush()
    attempt.recorder.record_update(update_record(1))
    with postgres_outage(postgres_server, postgres_url):
        assert not attempt.recorder.flush()
        attempt.recorder.record_update(update_record(2))
        assert not attempt.recorder.record_now(checkpoint_record(2))
        for update in range(3, 601):
            attempt.recorder.record_update(update_record(update))
        assert not attempt.recorder.record_now(JobPhase.EVALUATING)
        assert len(attempt.recorder._waiting) == 0
        assert sorted(write_names(attempt.spool_path)) == sorted(
            ["UpdateRecord"] * 600 + ["CheckpointRecord", "JobPhase"]
        )
        with pytest.raises(DriftgateError) as given_up:
            attempt.recorder.write_all(pause=lambda: True)
        assert given_up.value.code is ErrorCode.DATABASE_UNAVAILABLE

    attempt.recorder.write_all(pause=lambda: time.sleep(0.05) is not None)

    assert attempt.updates() == tuple(range(1, 601))
    assert attempt.saved_updates() == [2]
    assert attempt.jobs.get(attempt.job_id).phase is JobPhase.EVALUATING
    assert not attempt.spool_path.exists()


def write_names(spool_path: Path) -> list[str]:
    return re.findall(
        r"(UpdateRecord|CheckpointRecord|JobPhase)\n", spool_path.read_bytes().decode("latin-1")
    )


def test_writes_wait_in_memory_where_the_disk_takes_none(
    postgres_url: str, postgres_server: str, tmp_path: Path
) -> None:
    attempt = Attempt(Database(postgres_url), tmp_path / "gone")
    with postgres_outage(postgres_server, postgres_url):
        attempt.recorder.record_update(update_record(1))
        attempt.recorder.record_update(update_record(2))
        (tmp_path / "gone").mkdir()
        attempt.recorder.flush()
        assert attempt.spool_path.exists()
        attempt.recorder.record_update(update_record(3))

    attempt.recorder.write_all(pause=lambda: time.sleep(0.05) is not None)

    assert attempt.updates() == (1, 2, 3)


def test_a_recorder_whose_lease_fell_writes_nothing_more(
    database: Database, tmp_path: Path
) -> None:
    attempt = Attempt(database, tmp_path)
    attempt.recorder.record_update(update_record(1))
    attempt.recorder.record_update(update_record(2))
    attempt.jobs.release(attempt.lease, message="Taken.", counted=False, max_attempts=3)

    with pytest.raises(DriftgateError) as refused:
        attempt.recorder.record_now(checkpoint_record(2))

    assert refused.value.code is ErrorCode.LEASE_LOST
    assert (attempt.updates(), attempt.saved_updates()) == ((1,), [])
