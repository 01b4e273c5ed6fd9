"""Pause, resume, patch and delete: every state, every answer."""

import pytest
from sqlalchemy import func, select

from service.errors import DriftgateError, ErrorCode
from service.jobs.access import Caller, Scope
from service.jobs.job_queries import JobFilter
from service.jobs.records import CheckpointRecord, UpdateRecord
from service.jobs.spec import JobSpec, RegradeJobSpec
from service.jobs.state import EDGES, JobState
from service.storage.job_deletion import ROWS_OF_A_JOB

STATES = tuple(JobState)


@pytest.fixture
def job_in(job_store, spec):
    """A job that was brought to a state along legal edges, by its id."""

    def make(state):
        job_id = job_store.create(spec, warnings=(), queue="default").id
        if state is JobState.QUEUED:
            return job_id
        if state is JobState.PAUSED:
            job_store.request_pause(job_id)
            return job_id
        if state is JobState.CANCELLED:
            job_store.request_cancel(job_id)
            return job_id
        lease = job_store.claim(queue="default", owner="worker", lease_s=60).lease
        if state is JobState.STARTING:
            return job_id
        job_store.start_running(lease)
        if state is JobState.PAUSING:
            job_store.request_pause(job_id)
        elif state is JobState.CANCELLING:
            job_store.request_cancel(job_id)
        elif state is not JobState.RUNNING:
            job_store.finish(lease, state=state, failure=None, message="The end.")
        return job_id

    return make


S = JobState
# From each state: where the verb leads, or None where it is refused. Staying is no error.
AFTER = {
    #                 pause      resume     cancel
    S.QUEUED: (S.PAUSED, S.QUEUED, S.CANCELLED),
    S.STARTING: (S.PAUSING, S.STARTING, S.CANCELLING),
    S.RUNNING: (S.PAUSING, S.RUNNING, S.CANCELLING),
    S.PAUSING: (S.PAUSING, S.RUNNING, S.CANCELLING),
    S.PAUSED: (S.PAUSED, S.QUEUED, S.CANCELLED),
    S.CANCELLING: (None, None, S.CANCELLING),
    S.CANCELLED: (None, None, S.CANCELLED),
    S.SUCCEEDED: (None, None, None),
    S.FAILED: (None, None, None),
}
CASES = [
    pytest.param(verb, state, AFTER[state][index], id=f"{verb} {state}")
    for state in STATES
    for index, verb in enumerate(("request_pause", "request_resume", "request_cancel"))
]


@pytest.mark.parametrize(("verb", "state", "after"), [case for case in CASES if case.values[2]])
def test_a_verb_leads_where_it_should_and_again_changes_nothing(
    job_store, job_in, verb, state, after
):
    job_id = job_in(state)

    answer = getattr(job_store, verb)(job_id)
    again = getattr(job_store, verb)(job_id)

    assert answer.state is after
    assert after is state or after in EDGES[state]
    assert again == answer == job_store.get(job_id)


@pytest.mark.parametrize(("verb", "state", "after"), [c for c in CASES if not c.values[2]])
def test_a_verb_that_is_no_edge_is_refused_and_changes_nothing(
    job_store, job_in, verb, state, after
):
    job_id = job_in(state)
    before = job_store.get(job_id)

    with pytest.raises(DriftgateError, match=f"{state} and cannot be") as caught:
        getattr(job_store, verb)(job_id)

    assert caught.value.code is ErrorCode.JOB_STATE_CONFLICT
    assert job_store.get(job_id) == before


@pytest.mark.parametrize(
    ("ask", "state"),
    [("request_pause", JobState.PAUSING), ("request_cancel", JobState.CANCELLING)],
)
def test_what_was_asked_of_a_starting_job_is_not_undone_by_its_start(job_store, spec, ask, state):
    job_id = job_store.create(spec, warnings=(), queue="default").id
    lease = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    getattr(job_store, ask)(job_id)

    job_store.start_running(lease)

    assert job_store.get(job_id).state is state
    orders = job_store.heartbeat(lease, lease_s=60)
    assert (orders.pause, orders.cancel) == (ask == "request_pause", ask == "request_cancel")


def test_a_patch_sets_and_removes_labels_and_keeps_those_of_the_spec(job_store, spec):
    labelled = spec.model_copy(update={"labels": {"team": "a", "kept": "yes"}})
    job = job_store.create(labelled, warnings=(), queue="default")

    patched = job_store.patch(job.id, labels={"team": None, "run": "7"}, if_version=1)

    assert patched.labels == {"kept": "yes", "run": "7"}
    assert patched.spec.labels == {"team": "a", "kept": "yes"}
    assert patched.version == 2
    found = job_store.list_jobs(limit=9, wanted=JobFilter(labels={"run": "7", "kept": "yes"}))
    assert found.jobs == (patched,)
    assert job_store.list_jobs(limit=9, wanted=JobFilter(labels={"team": "a"})).jobs == ()


def test_a_patch_that_changes_nothing_makes_no_new_version(job_store, job_in):
    job_id = job_in(S.QUEUED)
    job_store.patch(job_id, labels={"absent": None}, priority=0)
    assert job_store.get(job_id).version == 1


def test_a_patch_for_another_version_is_refused(job_store, job_in):
    job_id = job_in(S.PAUSED)
    with pytest.raises(DriftgateError, match="is of version 2") as caught:
        job_store.patch(job_id, priority=3, if_version=1)
    assert caught.value.code is ErrorCode.VERSION_CONFLICT


def test_a_patch_may_not_make_more_than_64_labels(job_store, job_in):
    job_id = job_in(S.QUEUED)
    job_store.patch(job_id, labels={f"k{number}": "" for number in range(64)})
    with pytest.raises(DriftgateError, match="65 labels"):
        job_store.patch(job_id, labels={"one-more": ""})
    job_store.patch(job_id, labels={"k0": None, "one-more": ""})


@pytest.mark.parametrize("state", [S.SUCCEEDED, S.FAILED, S.CANCELLED])
def test_an_ended_job_takes_labels_but_no_priority(job_store, job_in, state):
    job_id = job_in(state)
    assert job_store.patch(job_id, labels={"seen": "yes"}, priority=0).labels == {"seen": "yes"}
    with pytest.raises(DriftgateError, match="priority") as caught:
        job_store.patch(job_id, priority=1)
    assert caught.value.code is ErrorCode.JOB_STATE_CONFLICT


def test_a_deleted_job_leaves_no_row_and_is_told_of_in_the_feed(
    database, job_store, result_store, spec
):
    labelled = spec.model_copy(update={"labels": {"team": "a"}})
    job_id = job_store.create(labelled, warnings=(), queue="default", idempotency_key="k").id
    lease = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    job_store.start_running(lease)
    record = UpdateRecord(step=1, update=1, metrics={}, drift_by_block=())
    result_store.append_updates(lease, [record])
    checkpoint = CheckpointRecord(
        step=1, update=1, uri="file:///x", size_bytes=1, manifest_sha256="", final=True
    )
    result_store.record_checkpoint(lease, checkpoint)
    job_store.finish(lease, state=S.SUCCEEDED, failure=None, message="Done.")
    start = job_store.changes(after=None, limit=9).next_after

    job_store.delete(job_id)
    job_store.delete(job_id)

    with database.read() as session:
        for table in ROWS_OF_A_JOB:
            rows = session.scalar(select(func.count()).select_from(table))
            assert rows == 0, table.__tablename__
    with pytest.raises(DriftgateError) as caught:
        job_store.get(job_id)
    assert caught.value.code is ErrorCode.JOB_NOT_FOUND
    (change,) = job_store.changes(after=start, limit=9).changes
    assert (change.job_id, change.job) == (job_id, None)
    assert job_store.folders_to_remove(9) == [job_id]
    job_store.folder_removed(job_id)
    assert job_store.folders_to_remove(9) == []


@pytest.mark.parametrize("state", [s for s in STATES if EDGES[s]])
def test_a_job_that_has_not_ended_is_not_deleted(job_store, job_in, state):
    job_id = job_in(state)
    with pytest.raises(DriftgateError, match="Cancel it first") as caught:
        job_store.delete(job_id)
    assert caught.value.code is ErrorCode.JOB_STATE_CONFLICT


def test_a_job_that_another_needs_is_not_deleted_until_that_one_has_ended(job_store, job_in, spec):
    first = job_in(S.SUCCEEDED)
    warm = JobSpec.model_validate(spec.model_dump() | {"warm_start": {"job_id": first}})
    # The id in a label is no use of the job.
    named = spec.model_copy(update={"labels": {"after": first}})
    job_store.create(named, warnings=(), queue="default")
    second = job_store.create(warm, warnings=(), queue="default").id
    with pytest.raises(DriftgateError, match=second) as caught:
        job_store.delete(first)
    assert caught.value.code is ErrorCode.JOB_IN_USE
    job_store.request_cancel(second)
    job_store.delete(first)


def test_a_job_whose_texts_a_regrade_shows_is_not_deleted_before_the_regrade(job_store, job_in):
    graded = job_in(S.SUCCEEDED)
    regrade = RegradeJobSpec(kind="regrade", job_id=graded)
    second = job_store.create(regrade, warnings=(), queue="default").id
    job_store.request_cancel(second)
    with pytest.raises(DriftgateError, match="delete that one first"):
        job_store.delete(graded)
    job_store.delete(second)
    job_store.delete(graded)


def test_two_callers_may_use_one_idempotency_key(job_store, spec):
    callers = [Caller(key_id=key_id, scope=Scope.WRITE) for key_id in ("one", "two", "one")]
    jobs = [
        job_store.create(spec, warnings=(), queue="default", idempotency_key="k", caller=caller).id
        for caller in callers
    ]
    assert jobs[0] == jobs[2] != jobs[1]
