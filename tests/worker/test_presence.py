import logging
from datetime import timedelta

import pytest
from sqlalchemy import update

from service.jobs.capabilities import Capabilities
from service.storage.job_store import JobStore
from service.storage.tables import WorkerRow
from service.storage.worker_store import WorkerStore
from tests.worker.small_jobs import small_job
from worker.presence import Presence, make_profile


@pytest.fixture
def profile(settings_factory):
    return make_profile(settings_factory(queues=("fast", "slow")), Capabilities("cpu", 2**30))


@pytest.fixture
def presence(database, profile):
    return Presence(profile, worker_store=WorkerStore(database), job_store=JobStore(database))


def owners(database):
    return [worker.profile.owner for worker in WorkerStore(database).list_workers(live_within_s=60)]


def test_two_workers_of_one_process_never_have_one_owner(settings_factory):
    settings, capabilities = settings_factory(), Capabilities("cpu")
    first, second = (make_profile(settings, capabilities) for _ in range(2))
    assert first.owner != second.owner
    assert first.queues == ("default",)


def test_a_worker_that_looks_for_work_is_there_until_it_leaves(database, presence, profile):
    assert presence.look() == 0
    assert presence.look() == 0
    assert owners(database) == [profile.owner]
    presence.leave()
    assert owners(database) == []


def test_jobs_of_all_its_queues_are_work(database, presence):
    for queue in ("fast", "slow", "slow", "other"):
        JobStore(database).create(small_job(), warnings=(), queue=queue)
    assert presence.look() == 3


def test_a_worker_that_is_aside_finds_no_work_and_says_so_once(database, presence, caplog):
    JobStore(database).create(small_job(), warnings=(), queue="fast")
    presence.look()
    with database.transaction() as session:
        until = database.now(session) + timedelta(hours=1)
        session.execute(update(WorkerRow).values(aside_until=until, num_times_aside=1))
    with caplog.at_level(logging.ERROR):
        assert [presence.look(), presence.look()] == [0, 0]
    assert caplog.text.count("put aside until") == 1
