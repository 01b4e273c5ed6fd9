"""The steps of a study's life in the sweep. Whatever was cut off, the rows contradict each other at no moment, and rounds
of the reconciler, with clients who ask again for what was not answered, bring every study to its end.

Most of the jobs are cancelled one by one, which ends them at once; that they train is the matter of the other steps.
"""

from collections import Counter
from contextlib import suppress

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.access import ANYONE
from service.jobs.state import JobState
from service.jobs.studies import ENDED_STUDY_STATES, Study, StudyState
from service.jobs.study_jobs import parse_study
from service.jobs.study_spec import StudySpec
from service.storage.result_store import ResultStore
from service.storage.study_invariants import find_study_violations
from service.storage.study_store import FoundArm
from service.studies.advance import advance_study
from tests.chaos.crash_steps import Step
from tests.chaos.history import Outcome, Verb
from tests.chaos.study_history import StudyCall
from tests.chaos.sweep_world import SweepWorld
from tests.worker.small_jobs import small_job
from tests.worker_records import an_evaluation_record, an_outcome

FOUND = FoundArm((), needs_memory_bytes=None)
NUM_RUNS = 6
MAX_ROUNDS = 12
NUM_SAMPLES = 8


def study_of(key: str, **changes: object) -> StudySpec:
    """Two arms with three seeds, in the order of their submission the first arm's run of a seed before the second's."""
    fields = {
        "name": key,
        "base": small_job(steps=1, checkpoint={"every_steps": 1, "keep_last": 1}).model_dump(),
        "arms": [
            {"name": "block"},
            {"name": "ungated", "changes": {"gate": {"granularity": "none"}}},
        ],
        "seeds": [1, 2, 3],
        "baseline": "ungated",
        "contrast": {"arm": "block", "metric": "pass@1"},
    }
    return parse_study(fields | changes)


class SilentDoorbell:
    """No worker listens to the sweep, and a ring would start a thread."""

    def ring(self, queue: str) -> None:
        pass


def _create(world: SweepWorld, key: str, **changes: object) -> str:
    """Acknowledged, with nothing submitted; the study of the key where there is one."""
    spec = study_of(key, **changes)
    study = world.studies.create(
        spec,
        found={arm.name: FOUND for arm in spec.arms},
        queue=world.settings.queue,
        idempotency_key=key,
        caller=ANYONE,
    )
    _told(world, Verb.CREATE, study.id, key=key)
    return study.id


def _told(
    world: SweepWorld,
    verb: Verb,
    study_id: str | None,
    *,
    key: str | None = None,
    outcome: Outcome = Outcome.ACKNOWLEDGED,
) -> None:
    world.study_calls.append(StudyCall(verb, outcome, study_id, key))


def _round(world: SweepWorld, study_id: str) -> Study:
    """As the reconciler does it."""
    advance_study(
        study_id, study_store=world.studies, job_store=world.jobs, doorbell=SilentDoorbell()
    )
    return world.studies.get(study_id)


def _cancel_jobs(world: SweepWorld, study_id: str, *, at_most: int) -> None:
    """By a client, who means the jobs and not the study."""
    for job_id in world.studies.active_job_ids(study_id)[:at_most]:
        world.jobs.request_cancel(job_id)


def _submitted(world: SweepWorld, key: str) -> str:
    study_id = _create(world, key)
    _round(world, study_id)
    return study_id


def _with_an_ended_run(world: SweepWorld, key: str) -> str:
    """In its place the last run is to be submitted."""
    study_id = _create(world, key, max_active_jobs=5)
    _round(world, study_id)
    _cancel_jobs(world, study_id, at_most=1)
    return study_id


def _with_a_running_job(world: SweepWorld, key: str) -> str:
    """And one that waits."""
    study_id = _submitted(world, key)
    world.claim()
    return study_id


def _paused(world: SweepWorld, key: str) -> str:
    study_id = _with_a_running_job(world, key)
    world.studies.move(
        study_id, StudyState.PAUSED, leaving=(StudyState.RUNNING,), message="Paused."
    )
    _round(world, study_id)
    return study_id


def _about_to_complete(world: SweepWorld, key: str) -> str:
    """One run is left, and its job has ended."""
    study_id = _create(world, key, max_active_jobs=NUM_RUNS)
    _round(world, study_id)
    _cancel_jobs(world, study_id, at_most=NUM_RUNS - 1)
    _round(world, study_id)
    _cancel_jobs(world, study_id, at_most=1)
    return study_id


def _collapsed(world: SweepWorld, key: str) -> str:
    """The study has noted one of three seeds of the first arm as collapsed, and a second one is; one job waits."""
    study_id = _create(world, key, stop_when_arm_collapses=True, max_active_jobs=4)
    _round(world, study_id)
    _cancel_jobs(world, study_id, at_most=2)
    for run in world.studies.unsettled_runs(study_id):
        world.studies.settle(study_id, run, collapsed=run.arm == "block")
    _lose_everything(world)
    return study_id


def _lose_everything(world: SweepWorld) -> None:
    """The job that waits longest trains to its end, and what it solved before it does not solve any more."""
    lease = world.claim()
    results = ResultStore(world.database)
    problems = [an_outcome(f"p{number}", n=NUM_SAMPLES, c=6) for number in range(4)]
    unsolved = [an_outcome(f"p{number}", n=NUM_SAMPLES, c=0) for number in range(4)]
    results.record_evaluation(lease, an_evaluation_record("baseline", problems))
    world.run_attempt(lease)
    results.record_evaluation(lease, an_evaluation_record("final", unsolved))
    world.finish(lease)


def _ended(world: SweepWorld, key: str) -> str:
    study_id = _submitted(world, key)
    _cancel(world, study_id)
    return study_id


def _nothing(world: SweepWorld, key: str) -> str:
    _told(world, Verb.CREATE, None, key=key, outcome=Outcome.UNKNOWN)
    return key


def _submit(world: SweepWorld, key: str) -> None:
    """And its first job."""
    world.operations.submit_study(study_of(key, max_active_jobs=1), idempotency_key=key)
    world.operations.close()


def _submit_again(world: SweepWorld, key: str, _id: str) -> None:
    """Twice, and both are answered alike."""
    _audit(world)
    study_id = _create(world, key, max_active_jobs=1)
    assert _create(world, key, max_active_jobs=1) == study_id
    states = _states(_round(world, study_id))
    assert states == {JobState.QUEUED: 1, "pending": 5}, states
    _cancel(world, study_id)


def _finish(world: SweepWorld, _key: str, study_id: str) -> None:
    """Nothing is asked of the study any more, and its jobs end."""
    _audit(world)
    for _ in range(MAX_ROUNDS):
        study = _round(world, study_id)
        if study.state in ENDED_STUDY_STATES:
            break
        _cancel_jobs(world, study_id, at_most=NUM_RUNS)
    else:
        raise AssertionError(f"study {study_id} is {study.state} after {MAX_ROUNDS} rounds")


def _cancel(world: SweepWorld, study_id: str) -> None:
    """Asked by a client until it is answered, and brought to its end."""
    leaving = (StudyState.RUNNING, StudyState.PAUSED)
    world.studies.move(study_id, StudyState.CANCELLING, leaving=leaving, message="Cancelled.")
    _told(world, Verb.CANCEL, study_id)
    for _ in range(MAX_ROUNDS):
        if _round(world, study_id).state in ENDED_STUDY_STATES:
            return
        world.take_expired()  # of a worker that is gone: its job was cancelled, and ends
    raise AssertionError(f"study {study_id} is not cancelled after {MAX_ROUNDS} rounds")


def _cancel_again(world: SweepWorld, _key: str, study_id: str) -> None:
    _audit(world)
    _cancel(world, study_id)


def _paused_or_not(world: SweepWorld, _key: str, study_id: str) -> None:
    """Whoever was cut off, the next round does the rest: a paused study has no job that runs or waits."""
    _audit(world)
    study = _round(world, study_id)
    states = _states(study)
    if study.state is StudyState.PAUSED:
        assert states == {JobState.PAUSED: 1, JobState.PAUSING: 1, "pending": 4}, states
    else:
        assert states == {JobState.QUEUED: 1, JobState.RUNNING: 1, "pending": 4}, states
    _cancel(world, study_id)


def _delete(world: SweepWorld, study_id: str) -> None:
    world.operations.studies.delete(study_id)


def _delete_again(world: SweepWorld, _key: str, study_id: str) -> None:
    """A client who asks again is told that there is no such study, if it is gone."""
    _audit(world)
    with suppress(DriftgateError):
        world.studies.delete(study_id)
    with pytest.raises(DriftgateError) as refused:
        world.studies.get(study_id)
    assert refused.value.code is ErrorCode.STUDY_NOT_FOUND
    _told(world, Verb.DELETE, study_id)


def _audit(world: SweepWorld) -> None:
    """Right after the cut, before anybody mends anything."""
    found = find_study_violations(world.database)
    world.audited += [f"{each.invariant} of study {each.study_id}" for each in found]


def _states(study: Study) -> Counter[str]:
    return Counter(run.state for arm in study.arms for run in arm.runs)


STUDY_STEPS = (
    Step("study: create", _nothing, _submit, _submit_again),
    Step("study: round", _with_an_ended_run, _round, _finish),
    Step(
        "study: pause",
        _with_a_running_job,
        lambda world, study_id: world.operations.studies.pause(study_id),
        _paused_or_not,
    ),
    Step(
        "study: resume",
        _paused,
        lambda world, study_id: world.operations.studies.resume(study_id),
        _paused_or_not,
    ),
    Step(
        "study: cancel",
        _with_a_running_job,
        lambda world, study_id: world.operations.studies.cancel(study_id),
        _cancel_again,
    ),
    Step("study: arm collapses", _collapsed, _round, _finish),
    Step("study: end", _about_to_complete, _round, _finish),
    Step("study: delete", _ended, _delete, _delete_again),
)
# Where two transactions meet; the others are the same statements on any database.
STUDY_STEPS_OF_DATABASE = tuple(
    step for step in STUDY_STEPS if step.name in {"study: create", "study: round", "study: resume"}
)
