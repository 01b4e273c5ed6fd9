"""Jobs in SQL as clients change them: created, patched, cancelled, paused, resumed, deleted."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import ANYONE, Caller
from service.jobs.results import Job, SpecWarning
from service.jobs.spec import AnyJobSpec
from service.jobs.spec_fields import MAX_LABELS
from service.jobs.state import (
    HELD_STATES,
    TERMINAL_STATES,
    WHEN_PAUSED,
    WHEN_RESUMED,
    JobState,
)
from service.storage.job_deletion import delete_job
from service.storage.job_reads import JobReads
from service.storage.job_rows import job_row, job_view
from service.storage.lease_store import Claim, Lease, Orders
from service.storage.new_jobs import (
    KeyIsTakenError,
    Submission,
    job_of_key,
    submit_alone,
    submit_in_transaction,
)
from service.storage.row_ids import is_id
from service.storage.state_moves import grown, move
from service.storage.tables import DeletedJobRow, JobLabelRow, JobRow

__all__ = ["Claim", "JobStore", "Lease", "Orders"]

QUOTA_LOCK = 7_215_531  # any number of our own; the second half of the lock's key is the caller


class JobStore(JobReads):
    """What clients ask of jobs, and what workers do with them. Every method is one transaction."""

    def create(
        self,
        spec: AnyJobSpec,
        *,
        warnings: Sequence[SpecWarning],
        queue: str,
        needs_memory_bytes: int | None = None,
        idempotency_key: str | None = None,
        caller: Caller = ANYONE,
    ) -> Job:
        """A new job, QUEUED; or the one that the same key and the same spec of this caller made before.

        needs_memory_bytes: of a worker's device, at the least; None where unknown. Raises
        IDEMPOTENCY_CONFLICT where the key came with another spec, and QUOTA_EXCEEDED where the caller has as
        many jobs waiting as it may.
        """
        submission = Submission(
            spec, warnings, queue, caller, idempotency_key, needs_memory_bytes=needs_memory_bytes
        )
        with suppress(KeyIsTakenError):
            if caller.max_queued_jobs is None:
                job = submit_alone(self._database, submission)
                if job is not None:
                    return job
            with self._database.write() as connection:
                check_quota(connection, caller)
                now = self._database.now(connection)
                return submit_in_transaction(connection, submission, now=now)
        assert idempotency_key is not None, "only a key can be taken"
        earlier = self.made_before(spec, idempotency_key=idempotency_key, caller=caller)
        assert earlier is not None, "a key that was committed has its job"
        return earlier

    def made_before(
        self, spec: AnyJobSpec, *, idempotency_key: str, caller: Caller = ANYONE
    ) -> Job | None:
        """The job that this key and this spec made. Raises IDEMPOTENCY_CONFLICT as `create` does."""
        with self._database.read() as session:
            return job_of_key(session, idempotency_key, spec, caller=caller)

    def request_cancel(self, job_id: str) -> Job:
        """A waiting job is cancelled at once, a held one when its worker obeys.

        Asking again changes nothing. Raises JOB_NOT_FOUND, or JOB_STATE_CONFLICT where the job has
        succeeded or failed.
        """
        with self._database.transaction() as session:
            row = job_row(session, job_id, lock=True)
            state = JobState(row.state)
            if state in (JobState.CANCELLING, JobState.CANCELLED):
                return job_view(row)
            target = JobState.CANCELLING if state in HELD_STATES else JobState.CANCELLED
            now = self._database.now(session)
            moved = move(
                session,
                job_id,
                target,
                now=now,
                message="Cancel requested.",
                cancel_requested_at=now,
            )
            if not moved:
                raise _state_conflict(row, verb="cancelled")
            session.refresh(row)
            return job_view(row)

    def request_pause(self, job_id: str) -> Job:
        """A waiting job is paused at once, a held one once its worker has saved it.

        Asking again changes nothing. Raises JOB_NOT_FOUND, or JOB_STATE_CONFLICT where the job has ended or
        is being cancelled.
        """
        with self._database.transaction() as session:
            row = job_row(session, job_id, lock=True)
            state = JobState(row.state)
            if state in (JobState.PAUSING, JobState.PAUSED):
                return job_view(row)
            target = WHEN_PAUSED.get(state)
            return self._obey(session, row, target, verb="paused", message="Pause requested.")

    def request_resume(self, job_id: str) -> Job:
        """A paused job waits again; one that is about to pause goes on.

        For a job that waits or runs it changes nothing. Raises JOB_NOT_FOUND, or JOB_STATE_CONFLICT where the
        job has ended or is being cancelled.
        """
        with self._database.transaction() as session:
            row = job_row(session, job_id, lock=True)
            state = JobState(row.state)
            if state in (JobState.QUEUED, JobState.STARTING, JobState.RUNNING):
                return job_view(row)
            target = WHEN_RESUMED.get(state)
            return self._obey(session, row, target, verb="resumed", message="Resume requested.")

    def patch(
        self,
        job_id: str,
        *,
        labels: Mapping[str, str | None] | None = None,
        priority: int | None = None,
        if_version: int | None = None,
    ) -> Job:
        """Set or, with None, remove labels, and set the priority; what is not named stays.

        Raises JOB_NOT_FOUND, VERSION_CONFLICT where the job is not of `if_version`, INVALID_ARGUMENT for too
        many labels, and JOB_STATE_CONFLICT for the priority of a job that has ended.
        """
        with self._database.transaction() as session:
            row = job_row(session, job_id, lock=True)
            if if_version is not None and row.version != if_version:
                raise _version_conflict(row, if_version)
            values: dict[str, Any] = {}
            if priority is not None and priority != row.priority:
                if row.state in TERMINAL_STATES:
                    raise _state_conflict(row, verb="given another priority")
                values["priority"] = priority
            patched = _patched_labels(row.labels, labels or {})
            if patched != row.labels:
                values["labels"] = patched
                _replace_labels(session, job_id, patched)
            if values:
                now = self._database.now(session)
                session.execute(
                    update(JobRow)
                    .where(JobRow.id == job_id)
                    .values(**grown(session, now=now), **values)
                    .execution_options(synchronize_session=False)
                )
                session.refresh(row)
            return job_view(row)

    def delete(self, job_id: str) -> None:
        """Remove an ended job with all that was measured; a job that was deleted before stays so.

        Raises JOB_NOT_FOUND, JOB_STATE_CONFLICT and JOB_IN_USE.
        """
        with self._database.transaction() as session:
            if is_id(job_id) and session.get(DeletedJobRow, job_id) is not None:
                return
            row = job_row(session, job_id, lock=True)
            now = self._database.now(session)
            delete_job(session, row, now=now, is_postgres=self._database.is_postgres)

    def folders_to_remove(self, limit: int) -> list[str]:
        """Ids of deleted jobs whose folders may still be there."""
        with self._database.read() as session:
            return list(
                session.scalars(
                    select(DeletedJobRow.job_id)
                    .where(DeletedJobRow.folder_removed_at.is_(None))
                    .order_by(DeletedJobRow.job_id)
                    .limit(limit)
                )
            )

    def folder_removed(self, job_id: str) -> None:
        with self._database.transaction() as session:
            session.execute(
                update(DeletedJobRow)
                .where(DeletedJobRow.job_id == job_id)
                .values(folder_removed_at=self._database.now(session))
            )

    def _obey(
        self, session: Session, row: JobRow, target: JobState | None, *, verb: str, message: str
    ) -> Job:
        """Raises JOB_STATE_CONFLICT where there is no target, or no move to it."""
        now = self._database.now(session)
        if target is None or not move(session, row.id, target, now=now, message=message):
            raise _state_conflict(row, verb=verb)
        session.refresh(row)
        return job_view(row)


def _add_labels(session: Session, job_id: str, labels: Mapping[str, str]) -> None:
    if labels:
        session.execute(
            insert(JobLabelRow),
            [{"job_id": job_id, "key": key, "value": value} for key, value in labels.items()],
        )


def _replace_labels(session: Session, job_id: str, labels: Mapping[str, str]) -> None:
    session.execute(delete(JobLabelRow).where(JobLabelRow.job_id == job_id))
    _add_labels(session, job_id, labels)


def _patched_labels(labels: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**labels, **changes}
    patched = {key: value for key, value in merged.items() if value is not None}
    if len(patched) > MAX_LABELS:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"The job would have {len(patched)} labels; allowed: {MAX_LABELS}. Remove some with null.",
            [Violation("labels", f"{len(patched)} labels", f"at most {MAX_LABELS}")],
        )
    return patched


def check_quota(connection: Connection, caller: Caller) -> None:
    """Raises QUOTA_EXCEEDED. Two at once do not both take the last place: on SQLite there are no two at once.

    Keys of the settings have no id and no row; their jobs are those without a key.
    """
    if caller.max_queued_jobs is None:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(
            select(func.pg_advisory_xact_lock(QUOTA_LOCK, func.hashtext(caller.key_id)))
        )
    num_queued = connection.scalar(
        select(func.count())
        .select_from(JobRow)
        .where(JobRow.api_key_id == (caller.key_id or None), JobRow.state == JobState.QUEUED)
    )
    if (num_queued or 0) >= caller.max_queued_jobs:
        raise DriftgateError(
            ErrorCode.QUOTA_EXCEEDED,
            f"This API key has {num_queued} jobs waiting, and may have {caller.max_queued_jobs}. Try "
            "again when one has started, or cancel one.",
            [Violation("queued_jobs", str(num_queued), f"at most {caller.max_queued_jobs}")],
        )


def _state_conflict(row: JobRow, *, verb: str) -> DriftgateError:
    state = JobState(row.state)
    is_so = f"has already {state}" if state in TERMINAL_STATES else f"is {state}"
    return DriftgateError(
        ErrorCode.JOB_STATE_CONFLICT,
        f"Job {row.id} {is_so} and cannot be {verb}.",
        [Violation("state", state, "any state that is not final")],
    )


def _version_conflict(row: JobRow, given: int) -> DriftgateError:
    return DriftgateError(
        ErrorCode.VERSION_CONFLICT,
        f"Job {row.id} is of version {row.version}, and the change was made for version {given}. Read it "
        "again, and repeat the change if it is still wanted.",
        [Violation("version", str(given), str(row.version))],
    )
