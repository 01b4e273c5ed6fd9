import pytest
from sqlalchemy import func, select

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import JobState
from service.storage.tables import TokenDriftRow
from tests.worker_records import a_token_drift, an_update


@pytest.fixture
def job(job_store, spec):
    return job_store.create(spec, warnings=(), queue="default")


@pytest.fixture
def start_attempt(job, job_store, result_store):
    leases = []

    def start(*, resume_from):
        for lease in leases[-1:]:
            job_store.release(lease, message="crashed", counted=True, max_attempts=100)
        leases.append(job_store.claim(queue="default", owner="worker", lease_s=60).lease)
        result_store.resume_from(leases[-1], update=resume_from)
        return leases[-1]

    return start


def kept_update(update, drift=0.5):
    return an_update(update, token_drift=a_token_drift([[0.0, drift], [drift]]))


def test_what_was_kept_comes_back_with_its_update_a_few_at_a_time(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    records = [kept_update(1), an_update(2), kept_update(3), kept_update(9)]
    result_store.append_updates(lease, records)

    first = result_store.token_drifts(job.id, after_update=0, limit=2)
    rest = result_store.token_drifts(job.id, after_update=3, limit=2)

    assert [(one.update, one.step, one.attempt) for one in first + rest] == [
        (1, 1, 1),
        (3, 1, 1),
        (9, 2, 1),
    ]
    assert [one.drift for one in first + rest] == [records[0].token_drift] * 3


def test_each_update_is_kept_once_however_often_it_is_written_or_computed(
    result_store, job, start_attempt
):
    first = start_attempt(resume_from=0)
    result_store.append_updates(first, [kept_update(update) for update in (1, 2, 7, 8)])
    result_store.append_updates(first, [kept_update(8, drift=9.0)])
    second = start_attempt(resume_from=6)
    result_store.append_updates(second, [kept_update(7, drift=2.0)])

    kept = result_store.token_drifts(job.id, after_update=0, limit=100)

    assert [(one.update, one.attempt) for one in kept] == [(1, 1), (2, 1), (7, 2)]
    assert kept[1].drift == kept_update(2).token_drift
    assert kept[2].drift == kept_update(7, drift=2.0).token_drift


def test_a_fenced_attempt_keeps_nothing(result_store, job, start_attempt):
    old = start_attempt(resume_from=0)
    start_attempt(resume_from=0)
    with pytest.raises(DriftgateError) as caught:
        result_store.append_updates(old, [kept_update(1)])
    assert caught.value.code is ErrorCode.LEASE_LOST
    assert result_store.token_drifts(job.id, after_update=0, limit=9) == []


def test_what_was_kept_goes_with_the_job(result_store, job_store, job, start_attempt, database):
    lease = start_attempt(resume_from=0)
    job_store.start_running(lease)
    result_store.append_updates(lease, [kept_update(1)])
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    job_store.delete(job.id)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(TokenDriftRow)) == 0
