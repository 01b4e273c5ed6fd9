"""Rows of studies become what clients read, and every change of a study is an event of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.state import TERMINAL_STATES, JobState
from service.jobs.studies import (
    DELETED,
    PENDING,
    Study,
    StudyArm,
    StudyProgress,
    StudyRun,
    StudyState,
    StudySummary,
)
from service.jobs.study_spec import StudySpec
from service.storage.row_ids import is_id
from service.storage.tables import JobRow, StudyEventRow, StudyRow, StudyRunRow


class RunRow(NamedTuple):
    """A run with what its job says now; `job_state` is None without a job, and where it was deleted."""

    arm: str
    seed: int
    total_steps: int
    job_id: str | None
    outcome: str | None
    known_failure_code: str | None
    collapsed: bool | None
    job_state: str | None
    step: int | None
    failure: Any

    @property
    def state(self) -> str:
        if self.job_id is None:
            return self.outcome or PENDING
        return self.job_state or DELETED

    @property
    def failure_code(self) -> str | None:
        return self.failure["code"] if self.failure else self.known_failure_code


def study_row(session: Session, study_id: str, *, lock: bool = False) -> StudyRow:
    """The study's row, locked until the transaction ends if asked. Raises STUDY_NOT_FOUND."""
    query = select(StudyRow).where(StudyRow.id == study_id)
    # An id of another form never reaches the database: PostgreSQL refuses NUL in text.
    row = (
        session.scalars(query.with_for_update() if lock else query).first()
        if is_id(study_id)
        else None
    )
    if row is None:
        raise DriftgateError(
            ErrorCode.STUDY_NOT_FOUND,
            f"There is no study {study_id[:100]!r}. Ids are 32 hexadecimal digits, as in the answer to the request "
            "that created the study.",
            [Violation("study_id", study_id[:100], "the id of a study")],
        )
    return row


def run_rows(session: Session, study_id: str) -> list[RunRow]:
    """In the order of submission."""
    rows = session.execute(
        select(
            StudyRunRow.arm,
            StudyRunRow.seed,
            StudyRunRow.total_steps,
            StudyRunRow.job_id,
            StudyRunRow.outcome,
            StudyRunRow.failure_code,
            StudyRunRow.collapsed,
            JobRow.state,
            JobRow.step,
            JobRow.failure,
        )
        .outerjoin(JobRow, JobRow.id == StudyRunRow.job_id)
        .where(StudyRunRow.study_id == study_id)
        .order_by(StudyRunRow.position)
    )
    return [RunRow(*row) for row in rows]


def study_view(row: StudyRow, runs: Sequence[RunRow]) -> Study:
    spec = StudySpec.model_validate(row.spec)
    places = {seed: place for place, seed in enumerate(spec.seeds)}
    return Study(
        id=row.id,
        name=row.name,
        state=StudyState(row.state),
        reason=row.reason,
        progress=progress_of(runs),
        arms=tuple(
            _arm_view(
                arm.name,
                sorted(
                    (run for run in runs if run.arm == arm.name), key=lambda run: places[run.seed]
                ),
            )
            for arm in spec.arms
        ),
        spec=spec,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
    )


def summary_view(row: Row[Any], runs: Sequence[RunRow]) -> StudySummary:
    """Of the columns of a study but its spec, which may be large; arms_found has the names in order."""
    arms = tuple(row.arms_found)
    return StudySummary(
        id=row.id,
        name=row.name,
        state=StudyState(row.state),
        reason=row.reason,
        arms=arms,
        num_seeds=len(runs) // len(arms),
        progress=progress_of(runs),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
    )


def progress_of(runs: Iterable[RunRow]) -> StudyProgress:
    runs = list(runs)
    states = [run.state for run in runs]
    return StudyProgress(
        num_runs=len(runs),
        num_pending=states.count(PENDING),
        num_active=sum(is_active(state) for state in states),
        num_succeeded=states.count(JobState.SUCCEEDED),
        num_failed=states.count(JobState.FAILED),
        num_cancelled=states.count(JobState.CANCELLED),
        num_deleted=states.count(DELETED),
        step=sum(run.step or 0 for run in runs),
        total_steps=sum(run.total_steps for run in runs),
    )


def is_active(state: str) -> bool:
    """Whether a run of this state has a job that has not ended."""
    return state not in {PENDING, DELETED, *TERMINAL_STATES}


def record_change(
    session: Session, row: StudyRow, *, now: datetime, type_: str, message: str
) -> None:
    """The next event of a study whose row is locked; it has the state that the row has by now."""
    row.version += 1
    row.updated_at = now
    session.flush()
    session.execute(
        insert(StudyEventRow).values(
            study_id=row.id, seq=row.version, at=now, type=type_, state=row.state, message=message
        )
    )


def _arm_view(name: str, runs: Sequence[RunRow]) -> StudyArm:
    return StudyArm(
        name=name,
        num_collapsed=sum(bool(run.collapsed) for run in runs),
        runs=tuple(
            StudyRun(
                seed=run.seed,
                job_id=run.job_id,
                state=run.state,
                step=run.step or 0,
                total_steps=run.total_steps,
                collapsed=run.collapsed,
                failure_code=run.failure_code,
            )
            for run in runs
        ),
    )
