"""A job's rows go, all in one transaction; a tombstone stays, by which its folder is removed later."""

from datetime import datetime

from sqlalchemy import Text, cast, delete, insert, or_, select
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec import JobKind
from service.jobs.state import TERMINAL_STATES, JobState
from service.storage.change_feed import next_change_seq
from service.storage.job_rows import stored_spec
from service.storage.tables import (
    AttemptRow,
    CheckpointRow,
    DeletedJobRow,
    EvaluationProblemRow,
    EvaluationRow,
    EvaluationSampleRow,
    GradientFidelityRow,
    IdempotencyKeyRow,
    JobEventRow,
    JobLabelRow,
    JobRow,
    MetricChunkRow,
    PromptOverlapRow,
    ReverseKlRow,
    TokenDriftRow,
    UpdateMetricsRow,
)

# Children before their parents.
ROWS_OF_A_JOB = (
    JobLabelRow,
    MetricChunkRow,
    UpdateMetricsRow,
    TokenDriftRow,
    EvaluationProblemRow,
    EvaluationRow,
    EvaluationSampleRow,
    PromptOverlapRow,
    ReverseKlRow,
    GradientFidelityRow,
    CheckpointRow,
    AttemptRow,
    JobEventRow,
    IdempotencyKeyRow,
)


def delete_job(session: Session, row: JobRow, *, now: datetime, is_postgres: bool) -> None:
    """`row` is locked. Raises JOB_STATE_CONFLICT before its end, JOB_IN_USE where another job needs it."""
    if row.state not in TERMINAL_STATES:
        raise DriftgateError(
            ErrorCode.JOB_STATE_CONFLICT,
            f"Job {row.id} is {row.state}; only a job that has ended can be deleted. Cancel it first.",
            [Violation("state", row.state, ", ".join(sorted(TERMINAL_STATES)))],
        )
    _refuse_if_needed(session, row.id)
    # First, so that its number is larger than that of the row that goes.
    session.execute(
        insert(DeletedJobRow).values(
            job_id=row.id, change_seq=next_change_seq(is_postgres=is_postgres), deleted_at=now
        )
    )
    for table in ROWS_OF_A_JOB:
        session.execute(delete(table).where(table.job_id == row.id))
    session.execute(delete(JobRow).where(JobRow.id == row.id))


def _refuse_if_needed(session: Session, job_id: str) -> None:
    """A regrade reads the texts of the job that it graded for as long as it is there itself."""
    rows = session.scalars(
        select(JobRow)
        .where(
            or_(JobRow.kind == JobKind.REGRADE, JobRow.state.not_in(list(TERMINAL_STATES))),
            cast(JobRow.spec, Text).contains(job_id),
        )
        .order_by(JobRow.id)
    )
    for row in rows:
        spec = stored_spec(row)
        warm_start = getattr(spec, "warm_start", None)
        if job_id in (getattr(spec, "job_id", None), warm_start and warm_start.job_id):
            verb = "delete" if JobState(row.state) in TERMINAL_STATES else "wait for or cancel"
            raise DriftgateError(
                ErrorCode.JOB_IN_USE,
                f"Job {job_id} is needed by job {row.id}, which is {row.state}: {verb} that one first.",
                [Violation("job_id", job_id, "a job that no other needs")],
            )
