"""The audit: silent on what the store's own operations make, loud on rows that were altered."""

import shutil
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from service.errors import DriftgateError
from service.jobs.capabilities import Capabilities
from service.jobs.records import CheckpointRecord
from service.jobs.spec import JobSpec
from service.jobs.state import HELD_STATES, JobPhase, JobState
from service.storage.invariants import find_violations
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from service.storage.tables import JobRow
from service.storage.worker_store import WorkerProfile, WorkerStore

SPEC = JobSpec.model_validate(
    {
        "student": {"model": "builtin/arithmetic-student"},
        "teacher": {"model": "builtin/arithmetic-teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
        "max_runtime_s": 3600,
    }
)
OWNERS = ("one", "two")


class History:
    """Operations on few jobs, by number; those that are refused change nothing."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs = JobStore(database)
        self.results = ResultStore(database)
        self.ids: list[str] = []
        for owner in OWNERS:
            profile = WorkerProfile(owner, "h", Capabilities("cpu"), ("q",), "1", aside_s=0.001)
            WorkerStore(database).see(profile)

    def create(self, _number: int) -> None:
        self.ids.append(self.jobs.create(SPEC, warnings=(), queue="q").id)

    def claim(self, number: int) -> None:
        self.jobs.claim(queue="q", owner=OWNERS[number % 2], lease_s=60)

    def run(self, number: int) -> None:
        lease = self._lease(number)
        self.jobs.start_running(lease)
        self.jobs.set_phase(lease, JobPhase.TRAINING)

    def save(self, number: int) -> None:
        lease = self._lease(number)
        uri = f"/{lease.job_id}/{lease.epoch}/step-1"
        self.results.record_checkpoint(
            lease, CheckpointRecord(1, lease.epoch, uri, 1, "", final=False)
        )

    def resume_from(self, number: int) -> None:
        lease = self._lease(number)
        self.results.resume_from(lease, update=lease.epoch - 1)

    def crash(self, number: int) -> None:
        self.jobs.release(self._lease(number), message="Killed.", counted=True, max_attempts=3)

    def drain(self, number: int) -> None:
        self.jobs.release(self._lease(number), message="Drained.", counted=False, max_attempts=3)

    def vanish(self, number: int) -> None:
        lease = self._lease(number)
        self._past(lease, "lease_expires_at")
        self.jobs.take_expired(lease.job_id, lease.epoch, max_attempts=3)

    def overrun(self, number: int) -> None:
        lease = self._lease(number)
        self._past(lease, "deadline_at")
        self.jobs.take_overdue(lease.job_id, lease.epoch)

    def succeed(self, number: int) -> None:
        self.jobs.finish(
            self._lease(number), state=JobState.SUCCEEDED, failure=None, message="Done."
        )

    def fail(self, number: int) -> None:
        self.jobs.finish(self._lease(number), state=JobState.FAILED, failure=None, message="Bad.")

    def cancel(self, number: int) -> None:
        self.jobs.request_cancel(self._id(number))

    def pause(self, number: int) -> None:
        self.jobs.request_pause(self._id(number))

    def resume(self, number: int) -> None:
        self.jobs.request_resume(self._id(number))

    def delete(self, number: int) -> None:
        self.jobs.delete(self._id(number))

    def _id(self, number: int) -> str:
        return self.ids[number % len(self.ids)] if self.ids else "0" * 32

    def _lease(self, number: int) -> Lease:
        """Of a job that may not be held, or not exist: then it is refused."""
        job = self.jobs.get(self._id(number))
        return Lease(job.id, job.attempt, OWNERS[0])

    def _past(self, lease: Lease, column: str) -> None:
        with self.database.transaction() as session:
            past = self.database.now(session) - timedelta(seconds=1)
            session.execute(
                update(JobRow)
                .where(JobRow.id == lease.job_id, JobRow.state.in_(HELD_STATES))
                .values({column: past})
            )


OPERATIONS = [name for name in vars(History) if not name.startswith("_")]
# Histories in which something happens: most jobs are claimed, and most attempts crash.
STEPS = st.lists(
    st.tuples(st.sampled_from([*OPERATIONS, "claim", "claim", "run", "crash"]), st.integers(0, 2)),
    max_size=40,
)


def play(database: Database, steps: list[tuple[str, int]]) -> None:
    history = History(database)
    for number in range(3):
        history.create(number)
    for operation, number in steps:
        try:
            getattr(history, operation)(number)
        except DriftgateError:
            continue


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_history_of_the_stores_own_operations_breaks_an_invariant(
    steps, sqlite_template, tmp_path
):
    path = tmp_path / "history.db"
    for leftover in tmp_path.glob("history.db*"):
        leftover.unlink()
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    play(database, steps)
    found = list(find_violations(database))
    database.close()
    assert found == []


def test_a_long_history_breaks_no_invariant_on_either_database(database):
    steps = [(OPERATIONS[i * 7 % len(OPERATIONS)], i * 5 % 3) for i in range(60)]
    eventful = [
        each
        for step in steps
        for each in (("claim", 0), ("claim", 1), ("run", step[1]), ("save", 2), step, ("crash", 1))
    ]
    play(database, eventful)
    assert list(find_violations(database)) == []


HELD, WAITING, ENDED = 0, 1, 2
ALTERATIONS = {
    "the seqs of a job's events have no gaps": [
        (HELD, "DELETE FROM job_events WHERE job_id = :id AND seq = 2"),
        (WAITING, "UPDATE jobs SET last_event_seq = 7 WHERE id = :id"),
        (ENDED, "DELETE FROM job_events WHERE job_id = :id"),
    ],
    "a job's state is that of its newest event": [
        (WAITING, "UPDATE job_events SET state = 'paused' WHERE job_id = :id"),
    ],
    "every move is legal, and none leads out of a terminal state": [
        (ENDED, "UPDATE job_events SET state = 'cancelled' WHERE job_id = :id AND seq = 2"),
    ],
    "the attempts of a job's events never fall": [
        (ENDED, "UPDATE job_events SET attempt = 9 WHERE job_id = :id AND seq = 2"),
    ],
    "a job has no more than one live attempt": [
        (
            HELD,
            """INSERT INTO attempts (job_id, epoch, owner, started_at)
            SELECT job_id, 0, owner, started_at FROM attempts WHERE job_id = :id""",
        ),
    ],
    "a live attempt holds its job": [
        (ENDED, "UPDATE attempts SET ended_at = NULL WHERE job_id = :id"),
        (HELD, "UPDATE attempts SET epoch = 5 WHERE job_id = :id"),
    ],
    "a held job has its live attempt": [
        (HELD, "UPDATE attempts SET owner = 'thief' WHERE job_id = :id"),
        (HELD, "DELETE FROM attempts WHERE job_id = :id"),
    ],
    "a held job has a lease": [
        (HELD, "UPDATE jobs SET lease_expires_at = NULL WHERE id = :id"),
        (HELD, "UPDATE jobs SET lease_owner = NULL WHERE id = :id"),
    ],
    "a job that nobody holds has no lease": [
        (ENDED, "UPDATE jobs SET lease_owner = 'worker' WHERE id = :id"),
        (WAITING, "UPDATE jobs SET deadline_at = created_at WHERE id = :id"),
    ],
    "a job has ended when its state says so": [
        (ENDED, "UPDATE jobs SET finished_at = NULL WHERE id = :id"),
        (WAITING, "UPDATE jobs SET finished_at = created_at WHERE id = :id"),
    ],
    "only a failed job has a failure": [
        (WAITING, "UPDATE jobs SET failure = '{}' WHERE id = :id"),
    ],
    "a job has as many attempts as its epoch says": [
        (WAITING, "UPDATE jobs SET lease_epoch = 1 WHERE id = :id"),
    ],
    "the crashes that count are those of its attempts": [
        (HELD, "UPDATE jobs SET attempts_without_progress = 1 WHERE id = :id"),
    ],
}


@pytest.mark.parametrize(
    ("invariant", "which", "alteration"),
    [
        (invariant, which, alteration)
        for invariant, alterations in ALTERATIONS.items()
        for which, alteration in alterations
    ],
)
def test_an_altered_row_is_found_with_its_job(
    database, job_store, spec, invariant, which, alteration
):
    ended, held, waiting = (job_store.create(spec, warnings=(), queue="q").id for _ in range(3))
    lease = job_store.claim(queue="q", owner="worker", lease_s=60).lease
    job_store.start_running(lease)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    job_store.claim(queue="q", owner="worker", lease_s=60)
    assert list(find_violations(database)) == []
    job_id = {HELD: held, WAITING: waiting, ENDED: ended}[which]
    with database.transaction() as session:
        session.execute(text(alteration), {"id": job_id})
    found = list(find_violations(database))
    assert (invariant, job_id) in [(each.invariant, each.job_id) for each in found]
    assert {each.job_id for each in found} == {job_id}


def test_attempts_of_an_earlier_version_are_not_recounted(database, job_store, spec):
    job_store.create(spec, warnings=(), queue="q")
    lease = job_store.claim(queue="q", owner="worker", lease_s=60).lease
    job_store.release(lease, message="Killed.", counted=True, max_attempts=3)
    with database.transaction() as session:
        session.execute(text("UPDATE attempts SET ending = NULL"))
    assert list(find_violations(database)) == []
