"""Rows of jobs become what clients read."""

from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.parsing import ANY_JOB_SPEC
from service.jobs.results import Failure, Job, JobEvent, Progress, SpecWarning
from service.jobs.spec import AnyJobSpec, JobSpec
from service.jobs.state import JobPhase, JobState
from service.storage.row_ids import is_id
from service.storage.tables import JobEventRow, JobRow

# Without the mapping to an object, which costs more than the read.
SELECT_JOB = select(JobRow.__table__).where(JobRow.__table__.c.id == bindparam("job_id"))
SELECT_JOB_WITHOUT_SPEC = select(
    *(column for column in JobRow.__table__.columns if column.name != JobRow.spec.key)
).where(JobRow.__table__.c.id == bindparam("job_id"))


def job_row(session: Session, job_id: str, *, lock: bool = False) -> JobRow:
    """The job's row, locked until the transaction ends if asked. Raises JOB_NOT_FOUND."""
    row = job_row_if_there(session, job_id, lock=lock)
    if row is None:
        raise no_such_job(job_id)
    return row


def job_row_if_there(session: Session, job_id: str, *, lock: bool = False) -> JobRow | None:
    # An id of another form never reaches the database: PostgreSQL refuses NUL in text.
    if not is_id(job_id):
        return None
    query = select(JobRow).where(JobRow.id == job_id)
    return session.scalars(query.with_for_update() if lock else query).first()


def no_such_job(job_id: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.JOB_NOT_FOUND,
        f"There is no job {job_id[:100]!r}. Ids are 32 hexadecimal digits, as in the answer to the "
        "request that created the job.",
        [Violation("job_id", job_id[:100], "the id of a job")],
    )


def job_view(row: JobRow | Row[Any], *, spec: AnyJobSpec | None = None) -> Job:
    """Of a row of the table, mapped or plain. spec: where it is known, and the row may lack it."""
    spec = spec or stored_spec(row)
    total_steps, total_updates = steps_and_updates(spec)
    return Job(
        id=row.id,
        name=row.name,
        state=JobState(row.state),
        phase=JobPhase(row.phase) if row.phase else None,
        progress=Progress(
            step=row.step,
            total_steps=total_steps,
            update=row.update_index,
            total_updates=total_updates,
            evaluated_samples=row.evaluated_samples,
            samples_to_evaluate=row.samples_to_evaluate,
        ),
        attempt=row.lease_epoch,
        cancel_requested_at=row.cancel_requested_at,
        failure=Failure.model_validate(row.failure) if row.failure else None,
        warnings=tuple(SpecWarning.model_validate(warning) for warning in row.warnings),
        labels=row.labels,
        priority=row.priority,
        spec=spec,
        spec_version=row.spec_version,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def steps_and_updates(spec: AnyJobSpec) -> tuple[int, int]:
    """Of the whole job; none where nothing is trained."""
    return (spec.steps, spec.num_updates) if isinstance(spec, JobSpec) else (0, 0)


def stored_spec(row: JobRow | Row[Any]) -> AnyJobSpec:
    return ANY_JOB_SPEC.validate_python(row.spec)


def event_view(row: JobEventRow) -> JobEvent:
    return JobEvent(
        seq=row.seq,
        at=row.at,
        type=row.type,
        state=JobState(row.state),
        attempt=row.attempt,
        message=row.message,
    )


def updates_per_step(spec: JobSpec) -> int:
    return spec.reuse.epochs * spec.reuse.minibatches
