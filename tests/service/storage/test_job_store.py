import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.job_queries import JobFilter
from service.jobs.results import Failure, SpecWarning
from service.jobs.state import EDGES, JobPhase, JobState


@pytest.fixture
def create(job_store, spec):
    def make(name="a job", **keywords):
        named = spec.model_copy(update={"name": name})
        return job_store.create(named, **({"warnings": (), "queue": "default"} | keywords))

    return make


@pytest.fixture
def claim(job_store):
    def take(lease_s=60):
        return job_store.claim(queue="default", owner="worker-1", lease_s=lease_s)

    return take


def assert_history_is_sound(job_store, job_id):
    """Seqs run from 1 without a gap, and every change of state is an edge."""
    events = job_store.events(job_id).events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    states = [event.state for event in events]
    assert states[0] is JobState.QUEUED
    assert states[-1] is job_store.get(job_id).state
    assert all(after == before or after in EDGES[before] for before, after in pairwise(states))
    return states


def test_a_new_job_waits_with_its_spec_warnings_and_first_event(job_store, create, spec):
    warning = SpecWarning(code="SEQUENCE_GATE", field="gate.block_size", message="…")
    job = create(warnings=[warning])
    assert job == job_store.get(job.id)
    assert (job.state, job.attempt, job.version) == (JobState.QUEUED, 0, 1)
    assert job.spec == spec.model_copy(update={"name": "a job"})
    assert job.warnings == (warning,)
    assert (job.progress.total_steps, job.progress.total_updates) == (5, 30)
    assert assert_history_is_sound(job_store, job.id) == [JobState.QUEUED]


def test_ids_sort_by_time_of_creation(create):
    ids = [create().id for _ in range(20)]
    assert ids == sorted(ids)


def test_pages_hold_every_job_once_newest_first(job_store, create):
    ids = [create().id for _ in range(7)]
    pages, token = [], None
    for _ in range(3):
        page = job_store.list_jobs(limit=3, page_token=token)
        pages.append([job.id for job in page.jobs])
        token = page.next_page_token
    assert token is None
    assert pages == [ids[:3:-1], ids[3:0:-1], ids[:1]]


def test_a_list_can_be_kept_to_some_states(job_store, create):
    cancelled, waiting = create(), create()
    job_store.request_cancel(cancelled.id)
    page = job_store.list_jobs(limit=10, wanted=JobFilter(states=(JobState.CANCELLED,)))
    assert [job.id for job in page.jobs] == [cancelled.id]
    queued = JobFilter(states=(JobState.QUEUED,))
    assert job_store.list_jobs(limit=10, wanted=queued).jobs == (waiting,)


@pytest.mark.parametrize("token", ["x", "bm90IGpzb24=", "WzFd", "WyJhIiwiYiJd", "é"])
def test_a_foreign_page_token_is_refused(job_store, token):
    with pytest.raises(DriftgateError, match="page_token") as caught:
        job_store.list_jobs(limit=3, page_token=token)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("job_id", ["0" * 32, "nothing", "a\x00b", ""])
def test_an_unknown_job_is_named(job_store, job_id):
    with pytest.raises(DriftgateError) as caught:
        job_store.get(job_id)
    assert caught.value.code is ErrorCode.JOB_NOT_FOUND


def test_twenty_creates_at_once_under_one_key_make_one_job(job_store, create):
    barrier = threading.Barrier(20)

    def create_together(_):
        barrier.wait()
        return create(idempotency_key="the key").id

    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(create_together, range(20)))
    assert len(ids) == 1
    assert job_store.num_queued("default") == 1


def test_a_key_with_another_spec_is_a_conflict(job_store, create):
    create("one", idempotency_key="the key")
    with pytest.raises(DriftgateError) as caught:
        create("another", idempotency_key="the key")
    assert caught.value.code is ErrorCode.IDEMPOTENCY_CONFLICT
    assert job_store.num_queued("default") == 1


def test_eight_workers_claim_twenty_jobs_once_each(job_store, create):
    expected = {create().id for _ in range(20)}
    barrier = threading.Barrier(8)

    def claim_all(worker):
        barrier.wait()
        claims = iter(
            lambda: job_store.claim(queue="default", owner=f"worker-{worker}", lease_s=60), None
        )
        return [claim.lease.job_id for claim in claims]

    with ThreadPoolExecutor(8) as pool:
        claimed = [job_id for jobs in pool.map(claim_all, range(8)) for job_id in jobs]
    assert len(claimed) == 20
    assert set(claimed) == expected
    for job_id in expected:
        assert assert_history_is_sound(job_store, job_id) == [JobState.QUEUED, JobState.STARTING]


def test_the_oldest_job_of_the_queue_is_claimed_first(job_store, create, claim):
    create(queue="other")
    first, second = create(), create()
    assert [claim().lease.job_id, claim().lease.job_id] == [first.id, second.id]
    assert claim() is None
    assert job_store.queues_with_work() == ["other"]


def test_a_job_of_higher_priority_is_claimed_before_older_ones(job_store, create, claim, spec):
    old = create()
    urgent = job_store.create(spec.model_copy(update={"priority": 5}), warnings=(), queue="default")
    patched = create()
    job_store.patch(patched.id, priority=7)
    assert [claim().lease.job_id for _ in range(3)] == [patched.id, urgent.id, old.id]


def test_a_job_runs_through_its_phases_to_success(job_store, create, claim):
    job = create()
    lease = claim().lease
    assert (lease.job_id, lease.epoch, lease.owner) == (job.id, 1, "worker-1")
    job_store.start_running(lease)
    job_store.start_running(lease)
    job_store.set_phase(lease, JobPhase.TRAINING)
    held = job_store.get(job.id)
    assert (held.state, held.phase, held.attempt) == (JobState.RUNNING, JobPhase.TRAINING, 1)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    done = job_store.get(job.id)
    assert (done.state, done.phase, done.failure) == (JobState.SUCCEEDED, None, None)
    assert done.finished_at >= done.started_at >= done.created_at
    assert assert_history_is_sound(job_store, job.id) == [
        JobState.QUEUED,
        JobState.STARTING,
        JobState.RUNNING,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]


def test_a_failure_is_kept_with_its_code_and_fields(job_store, create, claim):
    job = create()
    failure = Failure(code=ErrorCode.NON_FINITE_LOSS, message="step 3: loss is nan")
    job_store.finish(claim().lease, state=JobState.FAILED, failure=failure, message="Failed.")
    assert job_store.get(job.id).failure == failure


def test_success_cannot_be_written_before_the_job_runs(job_store, create, claim):
    job = create()
    with pytest.raises(DriftgateError) as caught:
        job_store.finish(claim().lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    assert caught.value.code is ErrorCode.JOB_STATE_CONFLICT
    assert job_store.get(job.id).state is JobState.STARTING


def test_a_waiting_job_is_cancelled_at_once_and_only_once(job_store, create, claim):
    job = create()
    cancelled = job_store.request_cancel(job.id)
    assert cancelled.state is JobState.CANCELLED
    assert cancelled.cancel_requested_at is not None
    assert job_store.request_cancel(job.id) == cancelled
    assert claim() is None


def test_a_held_job_is_cancelled_when_its_worker_obeys(job_store, create, claim):
    job = create()
    lease = claim().lease
    assert not job_store.heartbeat(lease, lease_s=60).cancel
    assert job_store.request_cancel(job.id).state is JobState.CANCELLING
    assert job_store.heartbeat(lease, lease_s=60).cancel
    job_store.start_running(lease)
    ended = job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Too late.")
    assert ended is job_store.get(job.id).state is JobState.CANCELLED
    assert_history_is_sound(job_store, job.id)


def test_a_finished_job_cannot_be_cancelled(job_store, create, claim):
    job = create()
    lease = claim().lease
    job_store.start_running(lease)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    with pytest.raises(DriftgateError, match="already succeeded") as caught:
        job_store.request_cancel(job.id)
    assert caught.value.code is ErrorCode.JOB_STATE_CONFLICT


def test_an_attempt_of_an_old_epoch_changes_nothing(job_store, create, claim):
    job = create()
    old = claim(lease_s=0.001).lease
    assert job_store.release(old, message="gone", counted=False, max_attempts=3) is JobState.QUEUED
    claim()
    before = (job_store.get(job.id), job_store.events(job.id))
    writes = [
        lambda: job_store.heartbeat(old, lease_s=60),
        lambda: job_store.start_running(old),
        lambda: job_store.set_phase(old, JobPhase.TRAINING),
        lambda: job_store.finish(old, state=JobState.FAILED, failure=None, message="…"),
        lambda: job_store.release(old, message="…", counted=True, max_attempts=3),
    ]
    for write in writes:
        with pytest.raises(DriftgateError) as caught:
            write()
        assert caught.value.code is ErrorCode.LEASE_LOST
    assert (job_store.get(job.id), job_store.events(job.id)) == before


def test_an_expired_lease_stands_until_it_is_taken(job_store, create, claim, wait_until):
    job = create()
    lease = claim(lease_s=0.001).lease
    wait_until(lambda: job_store.expired_leases(10) == [lease])
    job_store.heartbeat(lease, lease_s=60)
    assert job_store.expired_leases(10) == []
    assert job_store.take_expired(job.id, lease.epoch, max_attempts=3) is None
    assert job_store.get(job.id).state is JobState.STARTING


def test_a_job_that_was_deleted_meanwhile_is_not_taken(job_store, create, claim, wait_until):
    job = create()
    lease = claim(lease_s=0.001).lease
    wait_until(lambda: job_store.expired_leases(10))
    job_store.request_cancel(job.id)
    job_store.take_expired(job.id, lease.epoch, max_attempts=3)
    job_store.delete(job.id)
    assert job_store.take_expired(job.id, lease.epoch, max_attempts=3) is None
    assert job_store.take_overdue(job.id, lease.epoch) is None


def test_the_next_expiry_is_that_of_the_first_lease_that_still_stands(
    job_store, create, claim, wait_until
):
    assert job_store.next_expiry_s() is None
    create()
    create()
    create()
    claim(lease_s=0.001)
    wait_until(lambda: job_store.expired_leases(10))
    assert job_store.next_expiry_s() is None, "it is over"
    claim(lease_s=300)
    claim(lease_s=60)
    assert 50 < job_store.next_expiry_s() <= 60


def test_a_taken_job_waits_again_and_its_worker_is_fenced(job_store, create, claim, wait_until):
    job = create()
    lease = claim(lease_s=0.001).lease
    wait_until(lambda: job_store.expired_leases(10))
    assert job_store.take_expired(job.id, lease.epoch, max_attempts=3) is JobState.QUEUED
    assert job_store.take_expired(job.id, lease.epoch, max_attempts=3) is None
    with pytest.raises(DriftgateError) as caught:
        job_store.heartbeat(lease, lease_s=60)
    assert caught.value.code is ErrorCode.LEASE_LOST
    assert claim().lease.epoch == 2
    assert "worker-1 stopped renewing" in job_store.events(job.id).events[2].message


def test_attempts_that_save_nothing_quarantine_the_job_and_say_why(job_store, create, claim):
    job = create()

    def crash(message):
        return job_store.release(claim().lease, message=message, counted=True, max_attempts=3)

    assert crash("killed by signal 9") is JobState.QUEUED
    job_store.release(claim().lease, message="drained", counted=False, max_attempts=3)
    assert crash("killed by signal 11") is JobState.QUEUED
    assert crash("out of memory") is JobState.FAILED
    failure = job_store.get(job.id).failure
    assert failure.code is ErrorCode.POISON_QUARANTINED
    assert "3 attempts" in failure.message
    assert "Attempt 1: killed by signal 9 Attempt 2: drained" in failure.message
    assert "Attempt 4: out of memory" in failure.message
    assert_history_is_sound(job_store, job.id)


def test_a_cancelled_job_whose_attempt_crashes_is_cancelled(job_store, create, claim):
    job = create()
    lease = claim().lease
    job_store.request_cancel(job.id)
    ended = job_store.release(lease, message="crashed", counted=True, max_attempts=1)
    assert ended is job_store.get(job.id).state is JobState.CANCELLED


def test_events_are_read_on_from_where_a_page_ended(job_store, create, claim):
    job = create()
    job_store.start_running(claim().lease)
    first = job_store.events(job.id, limit=2)
    rest = job_store.events(job.id, after=first.next_after)
    assert [event.seq for event in first.events + rest.events] == [1, 2, 3]
    assert job_store.events(job.id, after=rest.next_after).next_after == 3
