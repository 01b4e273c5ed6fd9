"""Workers in the database, and which of them are to blame for the deaths of jobs."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from service.jobs.capabilities import Capabilities
from service.jobs.records import CheckpointRecord
from service.jobs.state import JobState
from service.storage.invariants import find_violations
from service.storage.tables import JobRow, WorkerRow
from service.storage.worker_store import WorkerProfile, WorkerStore


@pytest.fixture
def workers(database):
    return WorkerStore(database)


def a_worker(owner="bad", **changes):
    fields = {
        "host": "a-host",
        "capabilities": Capabilities("cuda", 80 * 2**30),
        "queues": ("default", "slow"),
        "version": "1.2.3",
        "aside_s": 600.0,
    }
    return WorkerProfile(owner=owner, **(fields | changes))


@pytest.fixture
def create(job_store, spec):
    return lambda: job_store.create(spec, warnings=(), queue="default").id


@pytest.fixture
def claim(job_store):
    def take(owner):
        found = job_store.claim(queue="default", owner=owner, lease_s=60)
        return found and found.lease

    return take


@pytest.fixture
def die(job_store, claim):
    """Claims the oldest job on the worker and crashes."""

    def crash(owner, *, max_attempts=3):
        lease = claim(owner)
        job_store.release(lease, message="Killed.", counted=True, max_attempts=max_attempts)
        return lease

    return crash


@pytest.fixture
def back(database):
    """The worker's time aside is over."""

    def end(owner):
        with database.transaction() as session:
            session.execute(
                update(WorkerRow)
                .where(WorkerRow.owner == owner)
                .values(aside_until=database.now(session) - timedelta(seconds=1))
            )

    return end


def entry(workers, owner="bad"):
    (found,) = [
        worker for worker in workers.list_workers(live_within_s=60) if worker.profile.owner == owner
    ]
    return found


def aside_length_s(worker):
    """To the nearest hundred; the worker was seen a little earlier."""
    return round((worker.aside_until - worker.seen_at).total_seconds(), -2)


def attempts_that_count(database, job_id):
    with database.read() as session:
        return session.get_one(JobRow, job_id).attempts_without_progress


def postpone(job_store, job_id):
    """To the end of the queue: another job is the next to be claimed."""
    job_store.patch(job_id, priority=-1)


def test_a_worker_is_listed_with_what_it_has_while_it_is_seen(workers, wait_until):
    assert workers.see(a_worker()) is None
    workers.see(a_worker("another", capabilities=Capabilities("cpu", None)))
    first_seen = entry(workers).seen_at
    wait_until(lambda: workers.see(a_worker()) is None and entry(workers).seen_at > first_seen)
    assert entry(workers).profile == a_worker()
    assert [worker.profile.owner for worker in workers.list_workers(live_within_s=60)] == [
        "bad",
        "another",
    ]
    assert entry(workers).is_live
    wait_until(lambda: not workers.list_workers(live_within_s=0.001)[0].is_live)
    workers.leave("bad")
    assert [worker.profile.owner for worker in workers.list_workers(live_within_s=60)] == [
        "another"
    ]
    wait_until(lambda: workers.forget_unseen(after_s=0.001) == 1)


def test_two_different_jobs_that_die_in_a_row_put_the_worker_aside_and_are_forgiven(
    workers, database, job_store, create, claim, die
):
    workers.see(a_worker())
    first, second = create(), create()
    die("bad")
    assert attempts_that_count(database, first) == 1
    postpone(job_store, first)
    die("bad")

    assert [attempts_that_count(database, job_id) for job_id in (first, second)] == [0, 0]
    assert claim("bad") is None, "it is aside"
    aside = entry(workers)
    assert aside.aside_until == workers.see(a_worker())
    assert aside_length_s(aside) == 600
    assert first in aside.aside_reason
    assert second in aside.aside_reason
    message = job_store.events(second).events[-1].message
    assert "Killed. Worker bad claims nothing until" in message
    assert "does not count against the job" in message
    assert "Not counted" in job_store.attempts(first).attempts[0].outcome
    assert claim("good") is not None, "others are not"
    assert list(find_violations(database)) == []


def test_one_job_that_dies_again_and_again_is_given_up_and_the_worker_is_not_to_blame(
    workers, job_store, create, die
):
    workers.see(a_worker())
    job_id = create()
    for _ in range(3):
        die("bad")
    assert job_store.get(job_id).state is JobState.FAILED
    assert entry(workers).aside_until is None


def test_a_job_that_was_given_up_before_stays_so(workers, job_store, create, die):
    workers.see(a_worker())
    first = create()
    for _ in range(3):
        die("bad")
    other = create()
    assert die("bad").job_id == other
    assert entry(workers).aside_until is not None
    assert job_store.get(first).state is JobState.FAILED
    assert job_store.attempts(first).attempts[2].outcome == "Killed."


def test_what_was_let_go_lies_between_two_deaths_without_parting_them(
    workers, job_store, create, claim, die
):
    workers.see(a_worker())
    first, second, third = create(), create(), create()
    die("bad")
    postpone(job_store, first)
    drained = claim("bad")
    job_store.release(drained, message="Drained.", counted=False, max_attempts=3)
    postpone(job_store, second)
    assert die("bad").job_id == third
    assert entry(workers).aside_until is not None


def test_an_answer_parts_two_deaths(workers, job_store, create, claim, die):
    workers.see(a_worker())
    first, _, third = create(), create(), create()
    die("bad")
    postpone(job_store, first)
    answered = claim("bad")
    job_store.finish(answered, state=JobState.FAILED, failure=None, message="Bad data.")
    assert die("bad").job_id == third
    assert entry(workers).aside_until is None


def test_a_worker_that_comes_back_and_kills_again_is_aside_twice_as_long(
    workers, create, die, back, job_store
):
    workers.see(a_worker(aside_s=100.0))
    for _ in range(3):
        create()
    postpone(job_store, die("bad").job_id)
    postpone(job_store, die("bad").job_id)
    back("bad")
    die("bad")
    assert aside_length_s(entry(workers)) == 200


def test_a_success_clears_the_worker(workers, job_store, create, claim, die, back):
    workers.see(a_worker(aside_s=100.0))
    for _ in range(5):
        create()
    postpone(job_store, die("bad").job_id)
    postpone(job_store, die("bad").job_id)
    back("bad")
    lease = claim("bad")
    job_store.start_running(lease)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    postpone(job_store, die("bad").job_id)
    die("bad")
    assert aside_length_s(entry(workers)) == 100, "not doubled"


def test_a_job_that_died_elsewhere_too_is_not_forgiven(workers, database, job_store, create, die):
    """Otherwise a job that takes whole workers down, with its neighbours, would do so for ever."""
    for owner in ("first", "second"):
        workers.see(a_worker(owner))
    poison = create()
    die("first")
    postpone(job_store, poison)
    neighbour = create()
    die("second")
    postpone(job_store, neighbour)
    job_store.patch(poison, priority=5)
    die("second")
    assert attempts_that_count(database, poison) == 2
    assert attempts_that_count(database, neighbour) == 0
    assert entry(workers, "second").aside_until is not None
    assert "does not count" not in job_store.events(poison).events[-1].message
    assert list(find_violations(database)) == []


def test_the_third_death_does_not_fail_a_job_where_the_worker_is_to_blame(
    workers, job_store, create, die
):
    workers.see(a_worker())
    job_id = create()
    die("bad")
    die("bad")
    postpone(job_store, job_id)
    other = create()
    assert die("bad").job_id == other
    assert entry(workers).aside_until is not None
    assert job_store.get(job_id).state is JobState.QUEUED


def test_a_death_after_a_newer_checkpoint_takes_nothing_off_the_count(
    workers, database, job_store, result_store, create, claim, die
):
    workers.see(a_worker())
    saved, other = create(), create()
    lease = claim("bad")
    job_store.start_running(lease)
    result_store.record_checkpoint(lease, CheckpointRecord(1, 6, "/step-1", 1, "", final=False))
    job_store.release(lease, message="Killed.", counted=True, max_attempts=3)
    postpone(job_store, saved)
    assert die("bad").job_id == other
    assert attempts_that_count(database, saved) == 0
    assert list(find_violations(database)) == []


def test_a_worker_that_never_registered_is_not_put_aside(workers, database, job_store, create, die):
    first, second = create(), create()
    die("unknown")
    postpone(job_store, first)
    die("unknown")
    assert workers.list_workers(live_within_s=60) == []
    assert [attempts_that_count(database, job_id) for job_id in (first, second)] == [1, 1]
