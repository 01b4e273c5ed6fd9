"""A checker that cannot fail proves nothing: each rule of studies is shown what breaks it, and what does not."""

from dataclasses import replace

import pytest

from service.jobs.state import JobState
from service.jobs.studies import StudyState
from tests.chaos.history import Outcome, Verb
from tests.chaos.study_history import (
    StoredRun,
    StoredStudy,
    StoredStudyEvent,
    StudyCall,
    StudyChange,
    StudyEvidence,
    StudyJob,
    Submission,
)
from tests.chaos.study_invariants import study_violations_of

RUNNING, CANCELLING, CANCELLED = StudyState.RUNNING, StudyState.CANCELLING, StudyState.CANCELLED
# Two arms with three seeds, one job at a time; cancelled when two had been submitted, of which one had ended.
PAIRS = tuple((arm, seed) for seed in (1, 2, 3) for arm in ("here", "there"))
RUNS = (
    StoredRun("here", 1, "j1", "succeeded", collapsed=False),
    StoredRun("there", 1, "j2", "cancelled"),
    *(StoredRun(arm, seed, None, "cancelled") for arm, seed in PAIRS[2:]),
)
EVENTS = (
    StoredStudyEvent(1, "state_changed", RUNNING),
    StoredStudyEvent(2, "job_submitted", RUNNING),
    StoredStudyEvent(3, "job_ended", RUNNING),
    StoredStudyEvent(4, "job_submitted", RUNNING),
    StoredStudyEvent(5, "state_changed", CANCELLING),
    StoredStudyEvent(6, "job_ended", CANCELLING),
    StoredStudyEvent(7, "state_changed", CANCELLED),
)
STUDY = StoredStudy(
    id="s",
    key="k",
    state=CANCELLED,
    reason=None,
    version=7,
    has_finished=True,
    pairs=frozenset(PAIRS),
    max_active_jobs=1,
    stops_when_arm_collapses=False,
    runs=RUNS,
    events=EVENTS,
)
JOBS = (
    StudyJob("j1", "s", "here", 1, JobState.SUCCEEDED),
    StudyJob("j2", "s", "there", 1, JobState.CANCELLED),
)
CHANGES = (
    *(StudyChange("s", RUNNING, RUNNING, version, version + 1) for version in range(4)),
    StudyChange("s", RUNNING, CANCELLING, 4, 5),
    StudyChange("s", CANCELLING, CANCELLING, 5, 6),
    StudyChange("s", CANCELLING, CANCELLED, 6, 7),
)
SUBMISSIONS = (
    Submission("s", "here", 1, None, "j1", 1),
    Submission("s", "there", 1, None, "j2", 1),
)
CREATED = StudyCall(Verb.CREATE, Outcome.ACKNOWLEDGED, "s", "k")
GOOD = StudyEvidence(
    calls=(
        StudyCall(Verb.CREATE, Outcome.UNKNOWN, key="k"),
        CREATED,
        CREATED,
        StudyCall(Verb.CANCEL, Outcome.ACKNOWLEDGED, "s"),
    ),
    studies={"s": STUDY},
    jobs=JOBS,
    changes=CHANGES,
    submissions=SUBMISSIONS,
)


def with_study(**changes: object) -> StudyEvidence:
    return replace(GOOD, studies={"s": replace(STUDY, **changes)})


def with_run(number: int, **changes: object) -> StudyEvidence:
    runs = [*RUNS[:number], replace(RUNS[number], **changes), *RUNS[number + 1 :]]
    return with_study(runs=runs)


def with_change(*change: object) -> StudyEvidence:
    return replace(GOOD, changes=(*CHANGES, StudyChange("s", *change)))


def with_jobs(*jobs: StudyJob) -> StudyEvidence:
    return replace(GOOD, jobs=jobs)


def with_calls(*calls: StudyCall) -> StudyEvidence:
    return replace(GOOD, calls=(*GOOD.calls, *calls))


TWIN = replace(JOBS[0], id="j9")
COLLAPSED = [replace(RUNS[0], seed=seed, collapsed=True) for seed in (1, 2)]

BAD = {
    "an acknowledged study is gone": ("studies are created once", replace(GOOD, studies={})),
    "a key made two studies": (
        "studies are created once",
        replace(GOOD, studies={"s": STUDY, "t": replace(STUDY, id="t")}),
    ),
    "a key was answered with two studies": (
        "studies are created once",
        with_calls(replace(CREATED, study_id="t")),
    ),
    "nobody asked for a study": ("studies are created once", with_study(key="k9")),
    "a run is missing": ("a run is a job", with_study(runs=RUNS[:5])),
    "a run is there twice": ("a run is a job", with_study(runs=[*RUNS[:5], RUNS[4]])),
    "a run has two jobs": ("a run is a job", with_jobs(*JOBS, TWIN)),
    "a run has no job": ("a run is a job", with_jobs(JOBS[0])),
    "a job trains another run": (
        "a run is a job",
        with_jobs(JOBS[0], replace(JOBS[1], seed=2)),
    ),
    "a study without a row has a job": (
        "a run is a job",
        with_jobs(*JOBS, replace(TWIN, study_id="t")),
    ),
    "a run was given a second job": (
        "a run is a job",
        replace(GOOD, submissions=(Submission("s", "here", 1, "j9", "j1", 1),)),
    ),
    "too many jobs are active": (
        "few jobs are active",
        replace(GOOD, submissions=(Submission("s", "here", 1, None, "j1", 2),)),
    ),
    "a study rises from the dead": (
        "study moves are edges",
        with_change(CANCELLED, RUNNING, 7, 8),
    ),
    "a study goes back": ("study moves are edges", with_change(CANCELLING, RUNNING, 7, 8)),
    "an ended study changes": ("study moves are edges", with_change(CANCELLED, CANCELLED, 7, 8)),
    "a version stands still": (
        "study events have no gap",
        with_change(RUNNING, RUNNING, 7, 7),
    ),
    "an event is missing": (
        "study events have no gap",
        with_study(events=[*EVENTS[:2], *EVENTS[3:]]),
    ),
    "the last move has no event": ("study events have no gap", with_study(events=EVENTS[:6])),
    "the last event is of another state": (
        "study events have no gap",
        with_study(events=[*EVENTS[:6], replace(EVENTS[6], state=StudyState.COMPLETED)]),
    ),
    "a submission has no event": (
        "study events have no gap",
        with_study(events=[EVENTS[0], replace(EVENTS[1], type="job_ended"), *EVENTS[2:]]),
    ),
    "a study never ends": ("studies end", with_study(state=CANCELLING)),
    "a study ended at no time": ("studies end", with_study(has_finished=False)),
    "a run is never settled": ("studies end", with_run(0, outcome=None)),
    "a run was settled otherwise than its job": ("studies end", with_run(0, outcome="failed")),
    "a completed study has a run that was never submitted": (
        "studies end",
        with_study(state=StudyState.COMPLETED),
    ),
    "a cancelled study's job goes on": (
        "studies end",
        with_jobs(JOBS[0], replace(JOBS[1], state=JobState.RUNNING)),
    ),
    "a cancelled study completes": (
        "study requests are obeyed",
        with_study(state=StudyState.COMPLETED),
    ),
    "a deleted study is there": (
        "study requests are obeyed",
        with_calls(StudyCall(Verb.DELETE, Outcome.ACKNOWLEDGED, "s")),
    ),
    "a study goes on though an arm collapsed": (
        "study requests are obeyed",
        with_study(
            state=StudyState.COMPLETED, stops_when_arm_collapses=True, runs=[*COLLAPSED, *RUNS[2:]]
        ),
    ),
    "a study stops and does not say why": (
        "study requests are obeyed",
        with_study(stops_when_arm_collapses=True, runs=[*COLLAPSED, *RUNS[2:]]),
    ),
}


def test_a_study_as_it_should_be_breaks_no_rule() -> None:
    assert list(study_violations_of(GOOD)) == []


@pytest.mark.parametrize("name", BAD)
def test_a_study_that_breaks_a_rule_is_caught(name: str) -> None:
    rule, evidence = BAD[name]

    assert rule in {violation.rule for violation in study_violations_of(evidence)}


def test_a_deleted_study_leaves_jobs_and_breaks_no_rule() -> None:
    deleted = replace(with_calls(StudyCall(Verb.DELETE, Outcome.ACKNOWLEDGED, "s")), studies={})

    assert list(study_violations_of(deleted)) == []
