"""A job's first rows: the job, its labels, its first event, and the key that it was asked for with.

Submission is the write that clients wait for, so its statements are plain text: to have them built and its values
looked at by type costs twice what it costs to run them. The job that is answered is made from what was written, not
read back.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import to_json
from sqlalchemy import Connection, bindparam, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Caller
from service.jobs.capabilities import device_need
from service.jobs.results import Job, Progress, SpecWarning
from service.jobs.spec import SPEC_VERSION, AnyJobSpec, EvaluationJobSpec, JobSpec
from service.jobs.state import JobState
from service.storage.job_rows import job_row, job_view, steps_and_updates
from service.storage.row_ids import new_id
from service.storage.sessions import Database, DriverTransaction
from service.storage.submission_sql import (
    ASK_SQLITE,
    INSERT_EVENT_SQLITE,
    INSERT_JOB_SQLITE,
    INSERT_KEY_SQLITE,
    INSERT_LABELS_SQLITE,
    SUBMIT_POSTGRES,
)
from service.storage.tables import IdempotencyKeyRow, JobRow
from service.storage.webhook_outbox import add_deliveries

KEYS: SqlTable = JobRow.metadata.tables[IdempotencyKeyRow.__tablename__]
SELECT_KEY = select(KEYS.c.job_id, KEYS.c.request_sha256).where(
    KEYS.c.caller == bindparam("caller"), KEYS.c.key == bindparam("key")
)


NO_LABELS = "{}"


class KeyIsTakenError(Exception):
    """The caller used the key before: the transaction is to be undone, and the job goes with it."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be. needs_memory_bytes: of a worker's device, at the least; None where unknown."""

    spec: AnyJobSpec
    warnings: Sequence[SpecWarning]
    queue: str
    caller: Caller
    key: str | None
    needs_memory_bytes: int | None = None


def submit_alone(database: Database, submission: Submission) -> Job | None:
    """A QUEUED job by the driver alone; None, and nothing written, where a webhook listens or the key is taken."""
    values = _values(submission)
    if database.is_postgres:
        row = database.written_row(SUBMIT_POSTGRES, values | {"is_in_transaction": False})
        return None if row is None else _new_job(submission, values, created_at=row.created_at)

    def insert(transaction: DriverTransaction) -> datetime | None:
        if any(_listening_and_taken(transaction, values)):
            return None
        now = datetime.now(UTC)
        _insert_on_sqlite(transaction, values, now=now)
        return now

    created_at = database.driver_write(insert)
    return None if created_at is None else _new_job(submission, values, created_at=created_at)


def submit_in_transaction(connection: Connection, submission: Submission, *, now: datetime) -> Job:
    """A QUEUED job with its first event. now: not used on PostgreSQL, which tells the time itself.

    Raises KeyIsTakenError. A request with the same key that has not committed yet is waited for.
    """
    values = _values(submission)
    if connection.dialect.name == "postgresql":
        created_at, someone_listens = _insert_on_postgres(connection, values)
    else:
        someone_listens, key_is_taken = _listening_and_taken(connection, values)
        if key_is_taken:
            raise KeyIsTakenError
        created_at = now
        _insert_on_sqlite(connection, values, now=now)
    job = _new_job(submission, values, created_at=created_at)
    if someone_listens:
        add_deliveries(connection, job.id, event_seq=1, state=JobState.QUEUED, now=job.created_at)
    return job


def _insert_on_postgres(connection: Connection, values: dict[str, object]) -> tuple[datetime, bool]:
    """When the job was made, and whether a webhook is to be told. Raises KeyIsTakenError."""
    values["is_in_transaction"] = True
    row = connection.exec_driver_sql(SUBMIT_POSTGRES, values).first()
    if row is None:
        raise KeyIsTakenError
    return row.created_at, row.someone_listens


def _listening_and_taken(
    connection: Connection | DriverTransaction, values: dict[str, object]
) -> tuple[bool, bool]:
    """Whether a webhook is to be told, and whether the key has its job."""
    found = connection.exec_driver_sql(ASK_SQLITE, values).fetchone()
    assert found is not None, "a question without a table has one answer"
    return bool(found[0]), bool(found[1])


def _insert_on_sqlite(
    connection: Connection | DriverTransaction, values: dict[str, object], *, now: datetime
) -> None:
    values["now"] = now.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    connection.exec_driver_sql(INSERT_JOB_SQLITE, values)
    connection.exec_driver_sql(INSERT_EVENT_SQLITE, values)
    if values["labels"] != NO_LABELS:
        connection.exec_driver_sql(INSERT_LABELS_SQLITE, values)
    if values["key"] is not None:
        connection.exec_driver_sql(INSERT_KEY_SQLITE, values)


def _values(submission: Submission) -> dict[str, object]:
    """By the names that the statements give them, as the drivers take them."""
    spec, caller, key = submission.spec, submission.caller, submission.key
    spec_json = spec.__pydantic_serializer__.to_json(spec)
    model, teacher_model = _models_of(spec)
    warnings = [warning.model_dump() for warning in submission.warnings]
    return {
        "id": new_id(),
        "name": spec.name,
        "kind": spec.kind.value,
        "model": model,
        "teacher_model": teacher_model,
        "labels": to_json(spec.labels).decode(),
        "priority": spec.priority,
        "api_key_id": caller.key_id or None,
        "queue": submission.queue,
        "needs_device": _device_of(spec),
        "needs_memory_bytes": submission.needs_memory_bytes,
        "spec": spec_json.decode(),
        "spec_version": SPEC_VERSION,
        "warnings": to_json(warnings).decode(),
        "caller": caller.key_id,
        "key": key,
        "request_sha256": key and _request_sha256(spec, spec_json=spec_json),
    }


def job_of_key(session: Session, key: str, spec: AnyJobSpec, *, caller: Caller) -> Job | None:
    """The job that the caller's key made. Raises IDEMPOTENCY_CONFLICT where that was with another spec."""
    known = session.execute(SELECT_KEY, {"caller": caller.key_id, "key": key}).first()
    if known is None:
        return None
    job = job_view(job_row(session, known.job_id))
    spec_json = spec.__pydantic_serializer__.to_json(spec)
    # The hash of an earlier version of Driftgate lacks the fields that this one has: then the specs decide.
    if known.request_sha256 != _request_sha256(spec, spec_json=spec_json) and job.spec != spec:
        raise DriftgateError(
            ErrorCode.IDEMPOTENCY_CONFLICT,
            f"idempotency_key {key!r} was used for job {known.job_id} with another spec. "
            "Send the same spec to get that job, or a new key to make a new one.",
            [Violation("idempotency_key", key, "a key that was not used for another spec")],
        )
    return job


def _new_job(submission: Submission, values: dict[str, object], *, created_at: datetime) -> Job:
    spec, created_at = submission.spec, created_at.astimezone(UTC)
    total_steps, total_updates = steps_and_updates(spec)
    return Job(
        id=str(values["id"]),
        name=spec.name,
        state=JobState.QUEUED,
        phase=None,
        progress=Progress(step=0, total_steps=total_steps, update=0, total_updates=total_updates),
        attempt=0,
        cancel_requested_at=None,
        failure=None,
        warnings=tuple(submission.warnings),
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
        case JobSpec():
            return device_need(spec.compute.device, spec.resources.gpus)
        case EvaluationJobSpec():
            return spec.compute.device
        case _:
            return "auto"


def _request_sha256(spec: AnyJobSpec, *, spec_json: bytes) -> str:
    """Of the spec with all defaults filled in, so that two ways to write one spec are equal.

    The order of the fields is the contract's; of labels, which have no order, it is that of their keys.
    """
    labels = dict(sorted(spec.labels.items()))
    if list(labels) != list(spec.labels):
        # No text of a spec has this in it: its quotes would be escaped.
        spec_json = spec_json.replace(_labels_json(spec.labels), _labels_json(labels), 1)
    return hashlib.sha256(spec_json).hexdigest()


def _labels_json(labels: Mapping[str, str]) -> bytes:
    return b'"labels":' + to_json(labels)
