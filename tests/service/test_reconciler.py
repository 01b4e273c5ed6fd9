import threading
from pathlib import Path

import pytest

from service.artifact_cleanup import ArtifactCleanup
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.jobs.webhooks import WebhookSpec
from service.reconciler import Reconciler, _deliver_webhooks
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.storage.webhook_store import WebhookStore
from service.task_queue import Doorbell, celery_app
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
    """A monotonic clock that a test sets."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


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
def reconciler(job_store, doorbell, clock):
    return a_reconciler(job_store, doorbell, clock)


def a_reconciler(job_store, doorbell, clock):
    return Reconciler(
        job_store=job_store,
        doorbell=doorbell,
        cleanup=ArtifactCleanup(job_store=job_store, artifact_root=Path("not-there")),
        lease_s=LEASE_S,
        max_attempts_without_progress=3,
        interval_s=0.01,
        clock=clock,
    )


@pytest.fixture
def forsaken_job(job_store, wait_until):
    """A job whose worker claimed it and was never heard of again."""
    job = job_store.create(SPEC, warnings=(), queue="default")
    job_store.claim(queue="default", owner="worker", lease_s=0.001)
    wait_until(lambda: job_store.expired_leases(1))
    return job


def test_a_forsaken_job_waits_again_after_one_lease(reconciler, job_store, forsaken_job, clock):
    reconciler.run_once()
    clock.now_s += LEASE_S - 1
    reconciler.run_once()
    assert job_store.get(forsaken_job.id).state is JobState.STARTING
    clock.now_s += 1
    reconciler.run_once()
    assert job_store.get(forsaken_job.id).state is JobState.QUEUED


def test_an_outage_starts_the_wait_anew(postgres_url, postgres_server, doorbell, clock, wait_until):
    """The database is renamed away for one round, as a server that went down would be."""
    import psycopg  # noqa: PLC0415

    database = Database(postgres_url)
    job_store = JobStore(database)
    job = job_store.create(SPEC, warnings=(), queue="default")
    job_store.claim(queue="default", owner="worker", lease_s=0.001)
    wait_until(lambda: job_store.expired_leases(1))
    reconciler = a_reconciler(job_store, doorbell, clock)
    reconciler.run_once()
    clock.now_s += LEASE_S

    name = postgres_url.split("/")[3].split("?")[0]
    with psycopg.connect(postgres_server, autocommit=True) as server:
        database.close()
        server.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")
        reconciler.run_once()
        server.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.STARTING
    clock.now_s += LEASE_S
    reconciler.run_once()
    assert job_store.get(job.id).state is JobState.QUEUED
    database.close()


def test_it_rings_once_for_each_waiting_job(reconciler, job_store, doorbell, wait_until):
    for _ in range(3):
        job_store.create(SPEC, warnings=(), queue="default")
    reconciler.run_once()
    wait_until(lambda: doorbell.num_waiting("default") == 3)
    reconciler.run_once()
    doorbell.close()
    assert doorbell.num_waiting("default") == 3


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
