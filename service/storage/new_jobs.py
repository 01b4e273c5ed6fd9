"""A job's first rows: the job, its labels, its first event, and the key that it was asked for with.

Submission is the write that clients wait for. Its statements stand ready below, because to build one costs more
than to run it, and the job that is answered is made from what was written, not read back.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Caller
from service.jobs.results import Job, Progress, SpecWarning
from service.jobs.spec import SPEC_VERSION, AnyJobSpec, EvaluationJobSpec, JobSpec
from service.jobs.state import JobState
from service.storage.change_feed import next_change_seq
from service.storage.job_rows import job_row, job_view, new_job_id, steps_and_updates
from service.storage.state_moves import add_first_event
from service.storage.tables import IdempotencyKeyRow, JobLabelRow, JobRow

JOBS: SqlTable = JobRow.metadata.tables[JobRow.__tablename__]
LABELS: SqlTable = JobRow.metadata.tables[JobLabelRow.__tablename__]
KEYS: SqlTable = JobRow.metadata.tables[IdempotencyKeyRow.__tablename__]

# PostgreSQL's clock, since leases are counted by it, without a statement of its own.
INSERT_JOB_POSTGRES = (
    insert(JOBS)
    .values(
        change_seq=next_change_seq(is_postgres=True),
        created_at=func.statement_timestamp(),
        updated_at=func.statement_timestamp(),
    )
    .returning(JOBS.c.created_at)
)
INSERT_JOB_SQLITE = (
    insert(JOBS).values(change_seq=next_change_seq(is_postgres=False)).returning(JOBS.c.created_at)
)
INSERT_KEY_POSTGRES = postgresql.insert(KEYS).on_conflict_do_nothing().returning(KEYS.c.job_id)
INSERT_KEY_SQLITE = sqlite.insert(KEYS).on_conflict_do_nothing().returning(KEYS.c.job_id)
INSERT_LABELS = insert(LABELS)
SELECT_KEY = select(KEYS.c.job_id, KEYS.c.request_sha256).where(
    KEYS.c.caller == bindparam("caller"), KEYS.c.key == bindparam("key")
)


def insert_job(
    session: Connection,
    spec: AnyJobSpec,
    *,
    warnings: Sequence[SpecWarning],
    queue: str,
    caller: Caller,
    now: datetime | None,
    needs_memory_bytes: int | None = None,
) -> Job:
    """A QUEUED job with its first event. now: None where the database tells the time itself."""
    job_id = new_job_id()
    model, teacher_model = _models_of(spec)
    values: dict[str, object] = {
        "id": job_id,
        "name": spec.name,
        "kind": spec.kind,
        "model": model,
        "teacher_model": teacher_model,
        "labels": spec.labels,
        "priority": spec.priority,
        "api_key_id": caller.key_id or None,
        "state": JobState.QUEUED,
        "queue": queue,
        "needs_device": _device_of(spec),
        "needs_memory_bytes": needs_memory_bytes,
        "spec": spec.model_dump(mode="json"),
        "spec_version": SPEC_VERSION,
        "warnings": [warning.model_dump(mode="json") for warning in warnings],
        "version": 1,
        "last_event_seq": 1,
        "step": 0,
        "update_index": 0,
        "evaluated_samples": 0,
        "samples_to_evaluate": 0,
        "lease_epoch": 0,
        "attempts_without_progress": 0,
    }
    if now is None:
        created_at = session.execute(INSERT_JOB_POSTGRES, values).scalar_one()
    else:
        values |= {"created_at": now, "updated_at": now}
        created_at = session.execute(INSERT_JOB_SQLITE, values).scalar_one()
    add_first_event(session, job_id, now=created_at, message="Submitted.")
    if spec.labels:
        rows = [{"job_id": job_id, "key": k, "value": v} for k, v in spec.labels.items()]
        session.execute(INSERT_LABELS, rows)
    return _new_job(job_id, spec, warnings=warnings, created_at=created_at)


def insert_key(
    session: Connection, key: str, spec: AnyJobSpec, *, job: Job, caller: Caller
) -> bool:
    """False, and nothing written, where the caller used the key before.

    A request with the same key that has not committed yet is waited for.
    """
    on_postgres = session.dialect.name == "postgresql"
    row = {
        "caller": caller.key_id,
        "key": key,
        "request_sha256": _request_sha256(spec),
        "job_id": job.id,
        "created_at": job.created_at,
    }
    statement = INSERT_KEY_POSTGRES if on_postgres else INSERT_KEY_SQLITE
    return session.execute(statement, row).first() is not None


def job_of_key(session: Session, key: str, spec: AnyJobSpec, *, caller: Caller) -> Job | None:
    """The job that the caller's key made. Raises IDEMPOTENCY_CONFLICT where that was with another spec."""
    known = session.execute(SELECT_KEY, {"caller": caller.key_id, "key": key}).first()
    if known is None:
        return None
    job = job_view(job_row(session, known.job_id))
    # The hash of an earlier version of Driftgate lacks the fields that this one has: then the specs decide.
    if known.request_sha256 != _request_sha256(spec) and job.spec != spec:
        raise DriftgateError(
            ErrorCode.IDEMPOTENCY_CONFLICT,
            f"The idempotency key {key!r} was used for job {known.job_id} with another spec. "
            "Send the same spec to get that job, or a new key to make a new one.",
            [Violation("idempotency_key", key, "a key that was not used for another spec")],
        )
    return job


def _new_job(
    job_id: str, spec: AnyJobSpec, *, warnings: Sequence[SpecWarning], created_at: datetime
) -> Job:
    total_steps, total_updates = steps_and_updates(spec)
    return Job(
        id=job_id,
        name=spec.name,
        state=JobState.QUEUED,
        phase=None,
        progress=Progress(step=0, total_steps=total_steps, update=0, total_updates=total_updates),
        attempt=0,
        cancel_requested_at=None,
        failure=None,
        warnings=tuple(warnings),
        labels=spec.labels,
        priority=spec.priority,
        spec=spec,
        spec_version=SPEC_VERSION,
        version=1,
        created_at=created_at,
        updated_at=created_at,
        started_at=None,
        finished_at=None,
    )


def _models_of(spec: AnyJobSpec) -> tuple[str | None, str | None]:
    match spec:
        case JobSpec():
            return spec.student.model, spec.teacher.model
        case EvaluationJobSpec():
            return spec.model.model, None
        case _:
            return None, None


def _device_of(spec: AnyJobSpec) -> str:
    match spec:
        case JobSpec() | EvaluationJobSpec():
            return spec.compute.device
        case _:
            return "auto"


def _request_sha256(spec: AnyJobSpec) -> str:
    """Of the spec with all defaults filled in, so that two ways to write one spec are equal.

    The order of the fields is the contract's; of labels, which have no order, it is that of their keys.
    """
    ordered = spec.model_copy(update={"labels": dict(sorted(spec.labels.items()))})
    return hashlib.sha256(ordered.model_dump_json().encode()).hexdigest()
