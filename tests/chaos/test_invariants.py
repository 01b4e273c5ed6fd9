"""A checker that cannot fail proves nothing: each rule is shown a history that breaks it, and one that does not."""

from dataclasses import replace

import pytest

from service.jobs.state import JobState
from tests.chaos.history import (
    Call,
    Change,
    Event,
    Evidence,
    Notice,
    Outcome,
    StoredJob,
    Verb,
    Watch,
    Write,
)
from tests.chaos.invariants import violations_of
from tests.chaos.scripted_training import links_of, loss_of, weights_of

SEED, NUM_UPDATES = 5, 3
LINKS = links_of(SEED, NUM_UPDATES)
LOSSES = [(update, loss_of(LINKS[update])) for update in (1, 2, 3)]
EVENTS = (
    Event(1, "state_changed", JobState.QUEUED, 0),
    Event(2, "state_changed", JobState.STARTING, 1),
    Event(3, "state_changed", JobState.RUNNING, 1),
    Event(4, "state_changed", JobState.SUCCEEDED, 1),
)
CHANGES = (
    Change("a", JobState.QUEUED, JobState.STARTING, 1, 2, 0, 1),
    Change("a", JobState.STARTING, JobState.RUNNING, 2, 3, 1, 1),
    Change("a", JobState.RUNNING, JobState.RUNNING, 3, 4, 1, 1),
    Change("a", JobState.RUNNING, JobState.SUCCEEDED, 4, 5, 1, 1),
)
NOTICES = (
    Notice("d1", "job.queued", "a", 1, "queued"),
    Notice("d2", "job.running", "a", 3, "running"),
    Notice("d2", "job.running", "a", 3, "running"),
    Notice("d3", "job.succeeded", "a", 4, "succeeded"),
)
JOB = StoredJob(
    id="a",
    key="k1",
    seed=SEED,
    num_updates=NUM_UPDATES,
    state=JobState.SUCCEEDED,
    version=5,
    epoch=1,
    failure_code=None,
    events=EVENTS,
    losses=LOSSES,
    weights=weights_of(LINKS[-1]),
    labels={"rest-0": "7"},
    num_deaths=0,
)


def call(verb: Verb, began_s: float, **fields: object) -> Call:
    values = {
        "client": "rest-0",
        "verb": verb,
        "began_s": began_s,
        "ended_s": began_s + 0.5,
        "outcome": Outcome.ACKNOWLEDGED,
        "job_id": "a",
    }
    return Call(**(values | fields))


GOOD = Evidence(
    calls=(
        call(Verb.CREATE, 0, key="k1", outcome=Outcome.UNKNOWN, job_id=None),
        call(Verb.CREATE, 1, key="k1", version=1, state=JobState.QUEUED),
        call(Verb.PATCH, 2, patched="7", version=2, state=JobState.STARTING),
        call(Verb.PATCH, 3, patched="8", outcome=Outcome.UNKNOWN),
        call(Verb.GET, 4, version=5, state=JobState.SUCCEEDED),
        call(Verb.CANCEL, 5, outcome=Outcome.REFUSED, code="JOB_STATE_CONFLICT"),
    ),
    watches=(Watch("watcher-0", "a", (1, 2, 3, 4), has_ended=True),),
    jobs={"a": JOB},
    deleted=frozenset(),
    keys={"k1": "a"},
    changes=CHANGES,
    writes=(Write("a", "update_metrics", 1, 1, 1, JobState.RUNNING),),
    notices=NOTICES,
)


def with_job(**changes: object) -> Evidence:
    return replace(GOOD, jobs={"a": replace(JOB, **changes)})


def with_calls(*calls: Call) -> Evidence:
    return replace(GOOD, calls=(*GOOD.calls, *calls))


def with_change(*change: object) -> Evidence:
    return replace(GOOD, changes=(*CHANGES, Change("a", *change)))


TWIN = replace(JOB, id="b")
OTHER_CREATE = call(Verb.CREATE, 9, key="k2", job_id="b", version=1, state=JobState.QUEUED)
DEATHS_TOO_FEW = {"state": JobState.FAILED, "failure_code": "POISON_QUARANTINED", "num_deaths": 2}
FAILED = (*EVENTS[:3], Event(4, "attempt_ended", JobState.FAILED, 1))
HELD = JobState.RUNNING

BAD = {
    "an acknowledged job is gone": ("created once", replace(GOOD, jobs={})),
    "a key made two jobs": ("created once", replace(GOOD, jobs={"a": JOB, "b": TWIN})),
    "a key was answered with two jobs": (
        "created once",
        with_calls(replace(OTHER_CREATE, key="k1")),
    ),
    "a key points elsewhere": ("created once", replace(GOOD, keys={"k1": "b"})),
    "nobody asked for a job": ("created once", with_job(key="k9")),
    "a job rises from the dead": (
        "terminal states absorb",
        with_change(JobState.SUCCEEDED, JobState.QUEUED, 5, 6, 1, 1),
    ),
    "a job skips its claim": (
        "moves are edges",
        with_change(JobState.QUEUED, JobState.RUNNING, 5, 6, 1, 1),
    ),
    "events tell of a move that is none": (
        "moves are edges",
        with_job(events=(EVENTS[0], replace(EVENTS[3], seq=2))),
    ),
    "an event is missing": ("events have no gap", with_job(events=(EVENTS[0], *EVENTS[2:]))),
    "an event is there twice": ("events have no gap", with_job(events=(*EVENTS, EVENTS[3]))),
    "the last move has no event": ("events have no gap", with_job(events=EVENTS[:3])),
    "a claim without an epoch of its own": (
        "one writer",
        with_change(JobState.QUEUED, JobState.STARTING, 5, 6, 1, 1),
    ),
    "an epoch without a claim": ("one writer", with_change(HELD, HELD, 5, 6, 1, 2)),
    "a fenced attempt writes": (
        "one writer",
        replace(GOOD, writes=(Write("a", "update_metrics", 1, 2, 2, JobState.RUNNING),)),
    ),
    "an attempt writes to a job that nobody holds": (
        "one writer",
        replace(GOOD, writes=(Write("a", "checkpoints", 1, 2, 1, JobState.QUEUED),)),
    ),
    "an old attempt speaks after a new one": (
        "one writer",
        with_job(events=(EVENTS[0], replace(EVENTS[1], attempt=2), *EVENTS[2:])),
    ),
    "a version stands still": ("versions grow", with_change(HELD, HELD, 5, 5, 1, 1)),
    "a read is older than one before": (
        "nobody reads the past",
        with_calls(call(Verb.GET, 9, client="rest-1", version=4, state=JobState.RUNNING)),
    ),
    "a read is older than the reader's own write": (
        "nobody reads the past",
        with_calls(
            call(Verb.PATCH, 9, version=6, patched="7", state=JobState.SUCCEEDED),
            call(Verb.GET, 10, version=5, state=JobState.SUCCEEDED),
        ),
    ),
    "a job that is there is not found": (
        "nobody reads the past",
        with_calls(call(Verb.GET, 9, outcome=Outcome.REFUSED, code="JOB_NOT_FOUND")),
    ),
    "a deleted job is read": (
        "nobody reads the past",
        replace(
            with_calls(
                call(Verb.DELETE, 9), call(Verb.GET, 10, version=5, state=JobState.SUCCEEDED)
            ),
            jobs={},
            deleted=frozenset({"a"}),
        ),
    ),
    "a deleted job is there": ("requests are obeyed", with_calls(call(Verb.DELETE, 9))),
    "a cancelled job succeeds": ("requests are obeyed", with_calls(call(Verb.CANCEL, 3))),
    "a patch is lost": ("requests are obeyed", with_job(labels={"rest-0": "6"})),
    "a job never ends": ("every job ends", with_job(state=JobState.PAUSED)),
    "an attempt of an ended job goes on": ("every job ends", with_job(num_open_attempts=1)),
    "a job is given up too soon": ("every job ends", with_job(events=FAILED, **DEATHS_TOO_FEW)),
    "a job fails by itself": (
        "every job ends",
        with_job(events=FAILED, state=JobState.FAILED, failure_code="INTERNAL", num_deaths=3),
    ),
    "an update is missing": ("succeeded jobs are complete", with_job(losses=LOSSES[:2])),
    "an update counts twice": (
        "succeeded jobs are complete",
        with_job(losses=[*LOSSES, LOSSES[2]]),
    ),
    "an update has a wrong value": (
        "succeeded jobs are complete",
        with_job(losses=[*LOSSES[:2], (3, 0.25)]),
    ),
    "a succeeded job has no sound checkpoint": (
        "succeeded jobs are complete",
        with_job(weights=None),
    ),
    "the weights are of other updates": (
        "succeeded jobs are complete",
        with_job(weights=weights_of(LINKS[2])),
    ),
    "a watcher misses an event": (
        "watchers see all",
        replace(GOOD, watches=(Watch("watcher-0", "a", (1, 2, 4), has_ended=True),)),
    ),
    "a watcher sees an event twice": (
        "watchers see all",
        replace(GOOD, watches=(Watch("watcher-0", "a", (1, 2, 2, 3, 4), has_ended=True),)),
    ),
    "a watcher is never told the end": (
        "watchers see all",
        replace(GOOD, watches=(Watch("watcher-0", "a", (1, 2, 3, 4), has_ended=False),)),
    ),
    "a webhook is not told of a move": ("webhooks are told", replace(GOOD, notices=NOTICES[:3])),
    "a webhook is told of what did not happen": (
        "webhooks are told",
        replace(GOOD, notices=(*NOTICES, Notice("d4", "job.failed", "a", 4, "failed"))),
    ),
    "a delivery is of two events": (
        "webhooks are told",
        replace(GOOD, notices=(*NOTICES[:3], replace(NOTICES[3], delivery_id="d2"))),
    ),
    "a delivery stays undone": ("webhooks are told", replace(GOOD, undelivered=("job.queued",))),
    "a webhook is told by somebody else": (
        "webhooks are told",
        replace(GOOD, forgeries=("signed with another secret",)),
    ),
    "a client is never answered": ("clients are answered", replace(GOOD, unanswered=("rest-0",))),
    "an attempt dies by itself": (
        "no defects",
        with_job(
            events=(
                *EVENTS[:3],
                Event(4, "attempt_ended", JobState.QUEUED, 1, "The process ended with status 1."),
            )
        ),
    ),
    "the service's own audit finds something": ("no defects", replace(GOOD, audited=("a gap",))),
    "a process is left behind": ("no orphans", replace(GOOD, orphans=("process 7: sleep",))),
    "a quota counts what is gone": ("quotas are a recount", replace(GOOD, quota_left=("1 of 2",))),
    "a process ends by itself": ("no defects", replace(GOOD, ended_by_themselves=("worker-1",))),
    "a request meets a defect": (
        "no defects",
        with_calls(call(Verb.GET, 9, outcome=Outcome.UNKNOWN, code="INTERNAL")),
    ),
}


def test_a_history_as_it_should_be_breaks_no_rule() -> None:
    assert violations_of(GOOD) == []


@pytest.mark.parametrize("name", BAD)
def test_a_history_that_breaks_a_rule_is_caught(name: str) -> None:
    rule, evidence = BAD[name]

    assert rule in {violation.rule for violation in violations_of(evidence)}


def test_a_job_may_be_given_up_after_three_deaths() -> None:
    died = with_job(
        events=FAILED, state=JobState.FAILED, failure_code="POISON_QUARANTINED", num_deaths=3
    )

    assert "every job ends" not in {violation.rule for violation in violations_of(died)}
