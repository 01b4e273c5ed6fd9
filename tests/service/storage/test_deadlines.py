from datetime import timedelta

import pytest
from sqlalchemy import update

from service.errors import ErrorCode
from service.jobs.state import JobState
from service.storage.tables import AttemptRow, JobRow


@pytest.fixture
def create(job_store, spec):
    def make(max_runtime_s):
        limited = spec.model_copy(update={"max_runtime_s": max_runtime_s})
        return job_store.create(limited, warnings=(), queue="default").id

    return make


@pytest.fixture
def claim(job_store):
    return lambda: job_store.claim(queue="default", owner="worker", lease_s=60).lease


@pytest.fixture
def age(database):
    """The job's attempt began, and its deadline is, so many seconds earlier."""

    def make_older(lease, *, seconds):
        older = timedelta(seconds=seconds)
        with database.transaction() as session:
            attempt = session.get_one(AttemptRow, (lease.job_id, lease.epoch))
            attempt.started_at -= older
            job = session.get_one(JobRow, lease.job_id)
            session.execute(
                update(JobRow)
                .where(JobRow.id == lease.job_id)
                .values(deadline_at=job.deadline_at - older)
            )

    return make_older


def left(job_store, lease):
    return job_store.heartbeat(lease, lease_s=60).seconds_left


def test_a_worker_is_told_how_long_it_may_hold_the_job(job_store, create, claim):
    create(None)
    assert left(job_store, claim()) is None
    create(100)
    assert 95 < left(job_store, claim()) <= 100


def test_time_is_that_of_all_attempts_and_not_that_of_waiting_or_pauses(
    job_store, create, claim, age
):
    job_id = create(100)
    first = claim()
    age(first, seconds=40)
    job_store.request_pause(job_id)
    job_store.release(first, message="Paused.", counted=False, max_attempts=3)
    assert job_store.get(job_id).state is JobState.PAUSED
    assert job_store.overdue_leases(grace_s=0, limit=10) == []
    job_store.request_resume(job_id)
    assert 55 < left(job_store, claim()) <= 60


def test_an_attempt_that_is_let_go_after_its_deadline_fails_the_job(job_store, create, claim, age):
    job_id = create(100)
    lease = claim()
    age(lease, seconds=101)
    assert left(job_store, lease) < 0
    ended = job_store.release(lease, message="It was stopped.", counted=False, max_attempts=3)
    job = job_store.get(job_id)
    assert ended is job.state is JobState.FAILED
    assert job.failure.code is ErrorCode.DEADLINE_EXCEEDED
    assert "within the 100 s of its max_runtime_s. It was stopped. A new job" in job.failure.message
    assert job_store.events(job_id).events[-1].message == job.failure.message


def test_a_cancel_goes_before_a_deadline(job_store, create, claim, age):
    job_id = create(100)
    lease = claim()
    job_store.request_cancel(job_id)
    age(lease, seconds=101)
    job_store.release(lease, message="Stopped.", counted=False, max_attempts=3)
    assert job_store.get(job_id).state is JobState.CANCELLED


def test_a_job_whose_worker_does_not_end_it_is_ended_for_it_after_the_grace(
    job_store, create, claim, age
):
    job_id = create(100)
    lease = claim()
    assert job_store.take_overdue(job_id, lease.epoch) is None
    age(lease, seconds=130)
    assert job_store.overdue_leases(grace_s=60, limit=10) == []
    assert job_store.overdue_leases(grace_s=20, limit=10) == [lease]
    assert job_store.take_overdue(job_id, lease.epoch) is JobState.FAILED
    assert job_store.take_overdue(job_id, lease.epoch) is None
    assert job_store.get(job_id).failure.code is ErrorCode.DEADLINE_EXCEEDED


def test_a_job_whose_worker_is_gone_fails_where_its_time_is_used_up(
    job_store, create, claim, age, database
):
    job_id = create(100)
    lease = claim()
    age(lease, seconds=101)
    with database.transaction() as session:
        past = database.now(session) - timedelta(seconds=1)
        session.execute(update(JobRow).values(lease_expires_at=past))
    assert job_store.take_expired(job_id, lease.epoch, max_attempts=3) is JobState.FAILED
    failure = job_store.get(job_id).failure
    assert failure.code is ErrorCode.DEADLINE_EXCEEDED
    assert "stopped renewing its lease" in failure.message
