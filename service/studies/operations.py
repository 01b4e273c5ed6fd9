"""What can be asked of studies: planned, made, followed, steered, judged."""

from collections.abc import Callable
from typing import TypeVar

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Caller
from service.jobs.plans import Plan
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.jobs.studies import (
    ENDED_STUDY_STATES,
    Study,
    StudyEventPage,
    StudyPage,
    StudyPlan,
    StudyState,
)
from service.jobs.study_arms import ArmPreset, arm_presets
from service.jobs.study_jobs import arm_specs
from service.jobs.study_spec import StudySpec
from service.jobs.study_verdicts import StudyVerdict
from service.storage.job_store import JobStore
from service.storage.study_store import FoundArm, StudyStore
from service.studies.advance import advance_study
from service.studies.plan import make_study_plan
from service.studies.verdict import make_verdict
from service.task_queue import Doorbell

Found = TypeVar("Found")


class StudyOperations:
    """Every error is a DriftgateError. Threads may share one.

    check: what submission finds of a job's spec; plan: what a job would take. Both raise what submission would.
    """

    def __init__(
        self,
        *,
        study_store: StudyStore,
        job_store: JobStore,
        doorbell: Doorbell,
        queue: str,
        check: Callable[[JobSpec], FoundArm],
        plan: Callable[[JobSpec], Plan],
    ) -> None:
        self._study_store = study_store
        self._job_store = job_store
        self._doorbell = doorbell
        self._queue = queue
        self._check = check
        self._plan = plan

    def plan(self, spec: StudySpec) -> StudyPlan:
        """What the study would take and could tell; creates nothing. Raises what `create` would."""
        plans = {
            name: self._of_arm(spec, name, self._plan, arm) for name, arm in arm_specs(spec).items()
        }
        return make_study_plan(spec, plans)

    def create(self, spec: StudySpec, *, idempotency_key: str | None, caller: Caller) -> Study:
        """A running study, its first jobs submitted; or the one that this key and this spec made before."""
        try:
            if spec.budget_tokens is not None:
                self.plan(spec)
            found = {
                name: self._of_arm(spec, name, self._check, arm)
                for name, arm in arm_specs(spec).items()
            }
            study = self._study_store.create(
                spec,
                found=found,
                queue=self._queue,
                idempotency_key=idempotency_key,
                caller=caller,
            )
        except DriftgateError:
            # A retried request is answered with its study, though what it names may be gone since.
            earlier = idempotency_key and self._study_store.made_before(
                spec, idempotency_key=idempotency_key, caller=caller
            )
            if not earlier:
                raise
            return earlier
        return self._advanced(study.id)

    def get(self, study_id: str) -> Study:
        return self._study_store.get(study_id)

    def list_studies(self, *, limit: int, page_token: str | None = None) -> StudyPage:
        return self._study_store.list_studies(limit=limit, token=page_token)

    def events(self, study_id: str, *, after: int, limit: int) -> StudyEventPage:
        return self._study_store.events(study_id, after=after, limit=limit)

    def cancel(self, study_id: str) -> Study:
        """With its jobs. Asked again it changes nothing."""
        self._move(
            study_id,
            StudyState.CANCELLING,
            leaving=(StudyState.RUNNING, StudyState.PAUSED),
            same=(StudyState.CANCELLING, StudyState.CANCELLED),
            verb="cancelled",
        )
        return self._advanced(study_id)

    def pause(self, study_id: str) -> Study:
        """With its jobs. Asked again it changes nothing."""
        self._move(
            study_id,
            StudyState.PAUSED,
            leaving=(StudyState.RUNNING,),
            same=(StudyState.PAUSED,),
            verb="paused",
        )
        return self._advanced(study_id)

    def resume(self, study_id: str) -> Study:
        """With its jobs: those that are paused wait again. Asked again it resumes what is paused still."""
        num_waiting = self._study_store.resume(study_id)
        if num_waiting is None:
            state = self._study_store.get(study_id).state
            raise _conflict(study_id, state, (StudyState.PAUSED, StudyState.RUNNING), "resumed")
        if num_waiting:
            self._doorbell.ring(self._queue, times=num_waiting)
        return self._advanced(study_id)

    def delete(self, study_id: str) -> None:
        """A study that has ended; its jobs stay, as jobs."""
        self._study_store.delete(study_id)

    def verdict(self, study_id: str) -> StudyVerdict:
        """What the runs that have ended say."""
        study = self._study_store.get(study_id)
        runs = self._study_store.runs(study_id)
        job_ids = [run.job_id for run in runs if run.job_id and run.state == JobState.SUCCEEDED]
        return make_verdict(study, runs, self._study_store.scores(job_ids))

    def presets(self) -> tuple[ArmPreset, ...]:
        return arm_presets()

    def _advanced(self, study_id: str) -> Study:
        """The study after a round, which the reconciler need not be waited for."""
        advance_study(
            study_id,
            study_store=self._study_store,
            job_store=self._job_store,
            doorbell=self._doorbell,
        )
        return self._study_store.get(study_id)

    def _move(
        self,
        study_id: str,
        target: StudyState,
        *,
        leaving: tuple[StudyState, ...],
        same: tuple[StudyState, ...],
        verb: str,
    ) -> None:
        message = f"{verb.capitalize()} on request."
        if self._study_store.move(study_id, target, leaving=leaving, message=message):
            return
        state = self._study_store.get(study_id).state
        if state not in same:
            raise _conflict(study_id, state, (*leaving, *same), verb)

    def _of_arm(
        self, spec: StudySpec, name: str, ask: Callable[[JobSpec], Found], arm: JobSpec
    ) -> Found:
        """What is asked of an arm's spec; a refusal names the arm."""
        try:
            return ask(arm)
        except DriftgateError as refusal:
            place = [one.name for one in spec.arms].index(name)
            raise DriftgateError(
                refusal.code,
                f"Arm {name}: {refusal.message}",
                [
                    Violation(f"arms.{place}.{one.field}", one.given, one.allowed)
                    for one in refusal.violations
                ],
                refusal.retry_after_s,
            ) from None


def _conflict(
    study_id: str, state: StudyState, allowed: tuple[StudyState, ...], verb: str
) -> DriftgateError:
    is_so = f"has already {state}" if state in ENDED_STUDY_STATES else f"is {state}"
    return DriftgateError(
        ErrorCode.STUDY_STATE_CONFLICT,
        f"Study {study_id} {is_so} and cannot be {verb}.",
        [Violation("state", state, ", ".join(allowed))],
    )
