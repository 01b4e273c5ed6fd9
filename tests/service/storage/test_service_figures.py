from datetime import timedelta

import pytest
from sqlalchemy import event, update

from service.jobs.capabilities import Capabilities
from service.jobs.state import JobState
from service.jobs.studies import StudyState
from service.jobs.webhooks import WebhookSpec
from service.storage.service_figures import read_service_figures
from service.storage.sessions import Database
from service.storage.tables import JobRow, WebhookDeliveryRow, WebhookRow, WorkerRow
from service.storage.webhook_queue import AttemptEnd, WebhookQueue
from service.storage.webhook_store import WebhookStore
from service.storage.worker_store import WorkerProfile, WorkerStore
from tests.service.studies.conftest import laboratory, laboratory_on

__all__ = ["laboratory", "laboratory_on"]

ACCEPTED = AttemptEnd(http_status=204, error=None, seconds=0.1)


@pytest.fixture
def figures(database):
    return lambda: read_service_figures(database, live_within_s=90)


@pytest.fixture
def submit(job_store, spec):
    return lambda: job_store.create(spec, warnings=(), queue="default").id


@pytest.fixture
def claim(job_store):
    def take(*, lease_s=60):
        return job_store.claim(queue="default", owner="a worker", lease_s=lease_s).lease

    return take


@pytest.fixture
def change(database):
    """Columns of every row of a table."""

    def set_values(table, **values):
        with database.transaction() as session:
            session.execute(update(table).values(**values))

    return set_values


def a_worker(owner):
    return WorkerProfile(
        owner=owner,
        host="a-host",
        capabilities=Capabilities("cpu", None),
        queues=("default",),
        version="1",
        aside_s=600.0,
    )


def test_an_empty_service_has_zeros(figures):
    empty = figures()
    assert set(empty.num_jobs) == {
        *("queued", "starting", "running", "pausing", "paused", "cancelling")
    }
    assert set(empty.num_studies) == {"running", "paused", "cancelling"}
    assert {*empty.num_jobs.values(), *empty.num_studies.values()} == {0}
    assert empty.oldest_queued_age_s == 0
    assert empty.num_expired_leases == empty.num_live_workers == empty.num_workers_aside == 0
    assert empty.num_pending_deliveries == empty.num_due_deliveries == 0


def test_jobs_count_by_state_until_they_end(figures, submit, claim, job_store):
    for _ in range(6):
        submit()
    starting, running, done, _stopped = claim(), claim(), claim(), claim(lease_s=-1)
    job_store.start_running(running)
    job_store.start_running(done)
    job_store.finish(done, state=JobState.SUCCEEDED, failure=None, message="Done.")
    job_store.request_pause(submit())
    job_store.request_cancel(starting.job_id)
    assert figures().num_jobs == {
        JobState.QUEUED: 2,
        JobState.STARTING: 1,
        JobState.RUNNING: 1,
        JobState.PAUSING: 0,
        JobState.PAUSED: 1,
        JobState.CANCELLING: 1,
    }
    assert figures().num_expired_leases == 1


def test_the_oldest_job_that_waits_is_the_age(figures, submit, claim, change, database):
    submit()
    with database.read() as session:
        long_ago = database.now(session) - timedelta(hours=2)
    change(JobRow, created_at=long_ago)
    submit()
    assert 7200 <= figures().oldest_queued_age_s < 7260
    claim()  # the older one
    assert figures().oldest_queued_age_s < 60


def test_a_worker_counts_while_it_is_seen_and_apart_while_it_is_put_aside(
    figures, change, database
):
    workers = WorkerStore(database)
    with database.read() as session:
        now = database.now(session)
    workers.see(a_worker("gone"))
    change(WorkerRow, seen_at=now - timedelta(seconds=100))
    workers.see(a_worker("idle"))
    assert (figures().num_live_workers, figures().num_workers_aside) == (1, 0)
    change(WorkerRow, aside_until=now + timedelta(minutes=5))
    assert (figures().num_live_workers, figures().num_workers_aside) == (1, 1)
    change(WorkerRow, aside_until=now - timedelta(minutes=5))
    assert (figures().num_live_workers, figures().num_workers_aside) == (1, 0)


def test_deliveries_wait_until_they_are_accepted_or_their_webhook_is_disabled(
    figures, submit, change, database
):
    webhooks, queue = WebhookStore(database), WebhookQueue(database)
    first, _second = (webhooks.create(WebhookSpec(url=f"https://{n}.example.org")) for n in "ab")
    submit()
    submit()
    assert (figures().num_pending_deliveries, figures().num_due_deliveries) == (4, 4)
    due, _other = queue.claim(first.id, limit=2, lease_s=60)
    assert (figures().num_pending_deliveries, figures().num_due_deliveries) == (4, 2)
    queue.delivered(due, ACCEPTED)
    assert (figures().num_pending_deliveries, figures().num_due_deliveries) == (3, 2)
    with database.read() as session:
        change(WebhookDeliveryRow, next_attempt_at=database.now(session) - timedelta(seconds=1))
    assert (figures().num_pending_deliveries, figures().num_due_deliveries) == (3, 3)
    change(WebhookRow, enabled=False)
    assert (figures().num_pending_deliveries, figures().num_due_deliveries) == (0, 0)


def test_studies_count_by_state_until_they_end(figures, laboratory):
    _running, paused, cancelled = laboratory.study(), laboratory.study(), laboratory.study()
    for study, target in ((paused, StudyState.PAUSED), (cancelled, StudyState.CANCELLED)):
        laboratory.studies.move(study, target, leaving=[StudyState.RUNNING], message="-")
    assert figures().num_studies == {
        StudyState.RUNNING: 1,
        StudyState.PAUSED: 1,
        StudyState.CANCELLING: 0,
    }


def test_no_large_table_is_read_from_end_to_end(sqlite_url):
    database = Database(sqlite_url)
    asked = []

    @event.listens_for(database._engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, *_rest):
        asked.append((statement, parameters))

    read_service_figures(database, live_within_s=90)
    (statement, parameters) = next(each for each in asked if "jobs" in each[0])
    with database.read() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [step.detail for step in plan]
    database.close()
    assert sum(step.startswith("SEARCH jobs USING") for step in steps) >= 8
    assert {step for step in steps if "SCAN" in step} <= {
        *("SCAN CONSTANT ROW", "SCAN workers", "SCAN webhooks")
    }
