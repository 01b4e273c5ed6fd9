import logging
import threading

import pytest
from sqlalchemy import text

from service.errors import ErrorCode
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.jobs.webhooks import WebhookSpec
from service.reconciler import _deliver_webhooks, duties_of
from service.reconciliation.rounds import Reconciler
from service.storage.job_store import JobStore
from service.storage.leader_lease import LeaderLease
from service.storage.sessions import Database
from service.storage.webhook_store import WebhookStore
from service.task_queue import Doorbell, celery_app
from tests.postgres_outage import postgres_outage
from tests.service.webhook_receivers import a_receiver

SPEC = JobSpec.model_validate(
    {
        "student": {"model": "builtin/arithmetic-student"},
        "teacher": {"model": "builtin/arithmetic-teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
    }
)
LEASE_S = 60


class Clock:
    """A monotonic clock that a test sets, and the wall clock beside it, which goes on while the host sleeps."""

    def __init__(self):
        self.now_s = 1000.0
        self.slept_s = 0.0

    def __call__(self):
        return self.now_s

    def wall(self):
        return self.now_s + self.slept_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def job_store(database):
    return JobStore(database)


@pytest.fixture
def doorbell(redis_url, settings_factory):
    doorbell = Doorbell(celery_app(settings_factory(broker_url=redis_url)))
    yield doorbell
    doorbell.close()


@pytest.fixture
def start(doorbell, clock, settings_factory):
    """With the duties of the settings, on a database."""

    def make(database, **fields):
        settings = settings_factory(lease_s=LEASE_S, **fields)
        return Reconciler(
            duties_of(settings, database=database, doorbell=doorbell),
            leadership=LeaderLease(database, name="test", owner="test", lease_s=60),
            lease_s=LEASE_S,
            interval_s=0.01,
            clock=clock,
            wall_clock=clock.wall,
        )

    return make


@pytest.fixture
def reconciler(start, database):
    return start(database)


def forsake(job_store, wait_until, spec=SPEC):
    """A job whose worker claimed it and was never heard of again."""
    job = job_store.create(spec, warnings=(), queue="default")
    job_store.claim(queue="default", owner="worker", lease_s=0.001)
    wait_until(lambda: job_store.expired_leases(1))
    return job


def test_a_forsaken_job_waits_again_after_one_lease(reconciler, job_store, clock, wait_until):
    job = forsake(job_store, wait_until)
    reconciler.run_once()
    clock.now_s += LEASE_S - 1
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.STARTING
    clock.now_s += 1
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.QUEUED


def test_after_its_host_slept_it_takes_nothing_until_workers_had_time_to_wake_up(
    reconciler, job_store, clock, wait_until
):
    job = forsake(job_store, wait_until)
    reconciler.run_once()
    clock.now_s += LEASE_S - 1
    clock.slept_s += 3600
    reconciler.run_once()
    clock.now_s += LEASE_S - 1
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.STARTING
    clock.now_s += 1
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.QUEUED


def test_a_forsaken_job_is_rung_for_in_the_round_that_takes_it(
    reconciler, doorbell, job_store, clock, wait_until
):
    job = forsake(job_store, wait_until)
    reconciler.run_once()
    assert not doorbell.num_waiting("default")
    clock.now_s += LEASE_S
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.QUEUED
    wait_until(lambda: doorbell.num_waiting("default") == 1)


def test_an_outage_starts_the_wait_anew(postgres_url, postgres_server, start, clock, wait_until):
    database = Database(postgres_url)
    job_store = JobStore(database)
    job = forsake(job_store, wait_until)
    reconciler = start(database)
    reconciler.run_once()
    clock.now_s += LEASE_S
    with postgres_outage(postgres_server, postgres_url):
        reconciler.run_once()
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.STARTING
    clock.now_s += LEASE_S
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.QUEUED
    database.close()


def test_a_job_past_its_deadline_whose_worker_renews_its_lease_fails(
    start, job_store, database, clock
):
    limited = SPEC.model_copy(update={"max_runtime_s": 1})
    job = job_store.create(limited, warnings=(), queue="default")
    lease = job_store.claim(queue="default", owner="worker", lease_s=3600).lease
    reconciler = start(database)
    reconciler.run_once()
    clock.now_s += LEASE_S
    with database.transaction() as session:
        session.execute(text("UPDATE jobs SET deadline_at = '2020-01-01 00:00:00+00'"))
    job_store.heartbeat(lease, lease_s=3600)
    reconciler.run_once()
    assert job_store.get(job.id).failure.code is ErrorCode.DEADLINE_EXCEEDED


def test_it_rings_once_for_each_waiting_job(reconciler, job_store, doorbell, wait_until):
    for _ in range(3):
        job_store.create(SPEC, warnings=(), queue="default")
    reconciler.run_once()
    wait_until(lambda: doorbell.num_waiting("default") == 3)
    reconciler.run_once()
    doorbell.close()
    assert doorbell.num_waiting("default") == 3


def test_it_audits_when_it_starts(reconciler, job_store, database, caplog):
    job_store.create(SPEC, warnings=(), queue="default")
    with database.transaction() as session:
        session.execute(text("UPDATE jobs SET lease_owner = 'nobody'"))
    with caplog.at_level(logging.ERROR):
        reconciler.run_once()
    assert "breaks an invariant" in caplog.text


def test_it_tells_of_stuck_jobs_where_the_settings_ask_for_it(
    start, job_store, database, wait_until
):
    job_id = job_store.create(SPEC, warnings=(), queue="default").id
    job_store.start_running(job_store.claim(queue="default", owner="worker", lease_s=60).lease)
    start(database).run_once()
    assert job_store.events(job_id).events[-1].type != "stuck"
    reconciler = start(database, stuck_after_s=0.05)
    wait_until(lambda: reconciler.run_once() or job_store.events(job_id).events[-1].type == "stuck")


def test_it_runs_until_it_is_stopped(reconciler, job_store, doorbell, wait_until):
    job_store.create(SPEC, warnings=(), queue="default")
    stop = threading.Event()
    thread = threading.Thread(target=reconciler.run_forever, args=(stop,))
    thread.start()
    wait_until(lambda: doorbell.num_waiting("default") == 1)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_its_process_delivers_webhooks_as_the_settings_allow(
    sqlite_url, settings_factory, wait_until
):
    database = Database(sqlite_url)
    settings = settings_factory(database_url=sqlite_url, webhook_allow_private=True)
    stop = threading.Event()
    with a_receiver() as receiver:
        store = WebhookStore(database)
        store.add_trial(store.create(WebhookSpec(url=receiver.url)).id)
        thread = threading.Thread(target=_deliver_webhooks, args=(database, settings, stop))
        thread.start()
        wait_until(lambda: receiver.requests)
        stop.set()
        thread.join(timeout=10)
    assert not thread.is_alive()
    database.close()
