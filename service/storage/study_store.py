"""Studies in SQL as they change: made, run by run submitted and settled, paused, cancelled, ended, deleted.

Every method is one transaction that locks the study's row first, so that whatever dies between two of them leaves a
study that the next round goes on with: a run is submitted in the transaction that creates its job, or not at all.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Caller, Scope
from service.jobs.results import Job, SpecWarning
from service.jobs.spec import JobSpec
from service.jobs.state import TERMINAL_STATES
from service.jobs.studies import DELETED, ENDED_STUDY_STATES, Study, StudyState
from service.jobs.study_jobs import run_spec
from service.jobs.study_spec import StudySpec
from service.storage.job_store import check_quota
from service.storage.new_jobs import Submission, submit_in_transaction
from service.storage.new_rows import insert_new
from service.storage.row_ids import new_id
from service.storage.study_pauses import pause_jobs, resume_jobs
from service.storage.study_reads import StudyReads
from service.storage.study_rows import RunRow, record_change, run_rows, study_row, study_view
from service.storage.study_scores import RunScores, read_reverse_kls, read_scores
from service.storage.tables import JobRow, StudyEventRow, StudyRow, StudyRunRow


@dataclass(frozen=True, slots=True)
class FoundArm:
    """What the checks say of an arm's spec: doubts, and memory that it surely needs, if known."""

    warnings: tuple[SpecWarning, ...]
    needs_memory_bytes: int | None


class SubmittedRun(NamedTuple):
    """A run that has become a job; a worker of the queue may take it."""

    job: Job
    queue: str


class StudyStore(StudyReads):
    """What clients ask of studies, and what the reconciler does with them."""

    def create(
        self,
        spec: StudySpec,
        *,
        found: Mapping[str, FoundArm],
        queue: str,
        idempotency_key: str | None,
        caller: Caller,
    ) -> Study:
        """A running study whose runs all wait; or the one that the same key and spec of this caller made before.

        found: by arm. Raises IDEMPOTENCY_CONFLICT where the key came with another spec.
        """
        with suppress(_KeyIsTakenError), self._database.transaction() as session:
            now = self._database.now(session)
            study_id = new_id()
            row = {
                "id": study_id,
                "caller": caller.key_id,
                "idempotency_key": idempotency_key,
                "request_sha256": _request_sha256(spec),
                "max_queued_jobs": caller.max_queued_jobs,
                "name": spec.name,
                "state": StudyState.RUNNING,
                "queue": queue,
                "spec": spec.model_dump(mode="json"),
                "arms_found": {
                    name: {
                        "warnings": [one.model_dump(mode="json") for one in arm.warnings],
                        "needs_memory_bytes": arm.needs_memory_bytes,
                    }
                    for name, arm in found.items()
                },
                "version": 0,
                "created_at": now,
                "updated_at": now,
            }
            if insert_new(session, StudyRow, [row]) == 0:
                raise _KeyIsTakenError
            session.execute(insert(StudyRunRow), _new_runs(study_id, spec))
            stored = study_row(session, study_id)
            message = f"Submitted: {len(spec.arms)} arms × {len(spec.seeds)} seeds."
            record_change(session, stored, now=now, type_="state_changed", message=message)
            return study_view(stored, run_rows(session, study_id))
        assert idempotency_key is not None, "only a key can be taken"
        earlier = self.made_before(spec, idempotency_key=idempotency_key, caller=caller)
        assert earlier is not None, "a key that was committed has its study"
        return earlier

    def made_before(self, spec: StudySpec, *, idempotency_key: str, caller: Caller) -> Study | None:
        """The study that this key and this spec made. Raises IDEMPOTENCY_CONFLICT as `create` does."""
        with self._database.read() as session:
            row = session.scalars(
                select(StudyRow).where(
                    StudyRow.caller == caller.key_id, StudyRow.idempotency_key == idempotency_key
                )
            ).first()
            if row is None:
                return None
            study = study_view(row, run_rows(session, row.id))
        # The hash of an earlier version of Driftgate may lack fields that this one has: then the specs decide.
        if row.request_sha256 != _request_sha256(spec) and study.spec != spec:
            raise DriftgateError(
                ErrorCode.IDEMPOTENCY_CONFLICT,
                f"idempotency_key {idempotency_key!r} was used for study {row.id} with another spec. Send the "
                "same spec to get that study, or a new key to make a new one.",
                [
                    Violation(
                        "idempotency_key",
                        idempotency_key,
                        "a key that was not used for another spec",
                    )
                ],
            )
        return study

    def move(
        self,
        study_id: str,
        target: StudyState,
        *,
        leaving: Collection[StudyState],
        message: str,
        reason: str | None = None,
    ) -> bool:
        """Whether the study was in one of the states that it leaves. Raises STUDY_NOT_FOUND."""
        with self._database.transaction() as session:
            row = study_row(session, study_id, lock=True)
            if row.state not in leaving:
                return False
            now = self._database.now(session)
            row.state = target
            row.reason = reason or row.reason
            if target in ENDED_STUDY_STATES:
                row.finished_at = now
            record_change(session, row, now=now, type_="state_changed", message=message)
            return True

    def resume(self, study_id: str) -> int | None:
        """How many jobs wait again, in a study that was paused, or that runs; None, and nothing done, in any other.

        Raises STUDY_NOT_FOUND.
        """
        with self._database.transaction() as session:
            row = study_row(session, study_id, lock=True)
            if row.state not in (StudyState.PAUSED, StudyState.RUNNING):
                return None
            now = self._database.now(session)
            if row.state == StudyState.PAUSED:
                row.state = StudyState.RUNNING
                message = "Resumed on request."
                record_change(session, row, now=now, type_="state_changed", message=message)
            return resume_jobs(session, study_id, now=now)

    def pause_jobs(self, study_id: str) -> None:
        """Of a study that is paused still."""
        with self._database.transaction() as session:
            row = study_row(session, study_id, lock=True)
            if row.state == StudyState.PAUSED:
                pause_jobs(session, study_id, now=self._database.now(session))

    def delete(self, study_id: str) -> None:
        """Its jobs stay, as jobs. Raises STUDY_NOT_FOUND, and STUDY_STATE_CONFLICT before its end."""
        with self._database.transaction() as session:
            row = study_row(session, study_id, lock=True)
            if row.state not in ENDED_STUDY_STATES:
                raise DriftgateError(
                    ErrorCode.STUDY_STATE_CONFLICT,
                    f"Study {study_id} is {row.state}; only a study that has ended can be deleted. Cancel it first.",
                    [Violation("state", row.state, ", ".join(sorted(ENDED_STUDY_STATES)))],
                )
            for table in (StudyEventRow, StudyRunRow):
                session.execute(delete(table).where(table.study_id == study_id))
            session.execute(delete(StudyRow).where(StudyRow.id == study_id))

    def submit_next(self, study_id: str, arms: Mapping[str, JobSpec]) -> SubmittedRun | None:
        """The job of the next run, and its queue; None where the study does not run, has no run left, or has enough active jobs.

        arms: the spec of each. Raises QUOTA_EXCEEDED where the key that made the study has enough jobs waiting.
        """
        with self._database.transaction() as session:
            row = study_row(session, study_id, lock=True)
            run = _next_run(session, study_id)
            if row.state != StudyState.RUNNING or run is None:
                return None
            spec = StudySpec.model_validate(row.spec)
            if _num_active(session, study_id) >= spec.max_active_jobs:
                return None
            caller = Caller(row.caller, Scope.WRITE, max_queued_jobs=row.max_queued_jobs)
            connection = session.connection()
            check_quota(connection, caller)
            found = row.arms_found[run.arm]
            submission = Submission(
                run_spec(spec, arms[run.arm], study_id=study_id, arm=run.arm, seed=run.seed),
                [SpecWarning.model_validate(one) for one in found["warnings"]],
                row.queue,
                caller,
                None,
                needs_memory_bytes=found["needs_memory_bytes"],
            )
            now = self._database.now(session)
            job = submit_in_transaction(connection, submission, now=now)
            run.job_id = job.id
            message = f"Submitted {run.arm}, seed {run.seed}, as job {job.id}."
            record_change(session, row, now=now, type_="job_submitted", message=message)
            return SubmittedRun(job, row.queue)

    def unsettled_runs(self, study_id: str) -> list[RunRow]:
        """Those whose job has ended or is gone, and of whom the study has not taken note."""
        with self._database.read() as session:
            return [
                run
                for run in run_rows(session, study_id)
                if run.job_id is not None
                and run.outcome is None
                and (run.job_state is None or run.job_state in TERMINAL_STATES)
            ]

    def settle(self, study_id: str, run: RunRow, *, collapsed: bool | None) -> None:
        """Take note of how a run ended, once."""
        with self._database.transaction() as session:
            row = study_row(session, study_id, lock=True)
            outcome = run.job_state or DELETED
            changed = session.execute(
                update(StudyRunRow)
                .where(
                    StudyRunRow.study_id == study_id,
                    StudyRunRow.job_id == run.job_id,
                    StudyRunRow.outcome.is_(None),
                )
                .values(
                    outcome=outcome,
                    collapsed=collapsed,
                    failure_code=run.failure_code,
                )
                .returning(StudyRunRow.job_id)
                .execution_options(synchronize_session=False)
            ).first()
            if changed is None:
                return
            now = self._database.now(session)
            end = f"{outcome}, collapsed" if collapsed else outcome
            message = f"{run.arm}, seed {run.seed}: {end}."
            record_change(session, row, now=now, type_="job_ended", message=message)

    def drop_pending_runs(self, study_id: str) -> None:
        """Runs of a study that is being cancelled and that were never submitted end with it."""
        with self._database.transaction() as session:
            row = study_row(session, study_id, lock=True)
            if row.state == StudyState.CANCELLING:
                session.execute(
                    update(StudyRunRow)
                    .where(StudyRunRow.study_id == study_id, StudyRunRow.job_id.is_(None))
                    .values(outcome=StudyState.CANCELLED)
                    .execution_options(synchronize_session=False)
                )

    def runs(self, study_id: str) -> list[RunRow]:
        """In the order of submission."""
        with self._database.read() as session:
            return run_rows(session, study_id)

    def scores(self, job_ids: Sequence[str]) -> Mapping[str, RunScores]:
        """By job, of those that are named."""
        with self._database.read() as session:
            scores = read_scores(session, job_ids)
            for job_id, reverse_kl in read_reverse_kls(session, job_ids).items():
                scores[job_id].reverse_kl = reverse_kl
            return scores


class _KeyIsTakenError(Exception):
    """Undoes the transaction of a study whose key was used before."""


def _new_runs(study_id: str, spec: StudySpec) -> list[dict[str, object]]:
    """Seed by seed, so that all arms are about as far at any time."""
    pairs = [(arm.name, seed) for seed in spec.seeds for arm in spec.arms]
    steps = {arm.name: arm.changes.get("steps", spec.base.steps) for arm in spec.arms}
    return [
        {
            "study_id": study_id,
            "arm": arm,
            "seed": seed,
            "position": position,
            "total_steps": steps[arm],
        }
        for position, (arm, seed) in enumerate(pairs)
    ]


def _next_run(session: Session, study_id: str) -> StudyRunRow | None:
    return session.scalars(
        select(StudyRunRow)
        .where(
            StudyRunRow.study_id == study_id,
            StudyRunRow.job_id.is_(None),
            StudyRunRow.outcome.is_(None),
        )
        .order_by(StudyRunRow.position)
        .limit(1)
    ).first()


def _num_active(session: Session, study_id: str) -> int:
    return (
        session.scalar(
            select(func.count())
            .select_from(StudyRunRow)
            .join(JobRow, JobRow.id == StudyRunRow.job_id)
            .where(StudyRunRow.study_id == study_id, JobRow.state.not_in(list(TERMINAL_STATES)))
        )
        or 0
    )


def _request_sha256(spec: StudySpec) -> str:
    """Of the spec with defaults and presets filled in, so that two ways to write one spec are equal."""
    labels = dict(sorted(spec.base.labels.items()))
    ordered = spec.model_copy(update={"base": spec.base.model_copy(update={"labels": labels})})
    return hashlib.sha256(ordered.model_dump_json().encode()).hexdigest()
