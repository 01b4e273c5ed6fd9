"""Jobs in SQL as clients see them: created, read, listed, cancelled."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, insert, literal, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.results import Job, JobEventPage, JobPage, SpecWarning
from service.jobs.spec import SPEC_VERSION, AnyJobSpec
from service.jobs.state import HELD_STATES, JobState
from service.storage.job_rows import (
    event_view,
    job_row,
    job_view,
    new_job_id,
    page_position,
    token_of_position,
)
from service.storage.lease_store import Claim, Lease, LeaseStore, Orders
from service.storage.state_moves import add_first_event, move
from service.storage.tables import IdempotencyKeyRow, JobEventRow, JobRow, UtcDateTime

__all__ = ["Claim", "JobStore", "Lease", "Orders"]


class JobStore(LeaseStore):
    """What clients ask of jobs, and what workers do with them. Every method is one transaction."""

    def create(
        self,
        spec: AnyJobSpec,
        *,
        warnings: Sequence[SpecWarning],
        queue: str,
        idempotency_key: str | None = None,
    ) -> Job:
        """A new job, QUEUED; or the one that the same key and the same spec made before.

        Raises IDEMPOTENCY_CONFLICT where the key came with another spec.
        """
        try:
            with self._database.transaction() as session:
                if idempotency_key is not None:
                    earlier = _job_of_key(session, idempotency_key, spec)
                    if earlier is not None:
                        return earlier
                now = self._database.now(session)
                row = _insert(session, spec, warnings=warnings, queue=queue, now=now)
                if idempotency_key is not None:
                    _insert_key(session, idempotency_key, spec, job_id=row.id, now=now)
                return job_view(row)
        except IntegrityError:
            if idempotency_key is None:
                raise
            # Another request with this key committed between our look and our insert.
            with self._database.read() as session:
                winner = _job_of_key(session, idempotency_key, spec)
            if winner is None:
                raise
            return winner

    def made_before(self, spec: AnyJobSpec, *, idempotency_key: str) -> Job | None:
        """The job that this key and this spec made. Raises IDEMPOTENCY_CONFLICT as `create` does."""
        with self._database.read() as session:
            return _job_of_key(session, idempotency_key, spec)

    def get(self, job_id: str) -> Job:
        """Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            return job_view(job_row(session, job_id))

    def list_jobs(
        self, *, limit: int, page_token: str | None = None, states: Sequence[JobState] = ()
    ) -> JobPage:
        """Newest first; no `states` means all. Raises INVALID_ARGUMENT for a foreign page token."""
        query = select(JobRow).order_by(JobRow.created_at.desc(), JobRow.id.desc())
        if states:
            query = query.where(JobRow.state.in_(states))
        if page_token:
            created_at, job_id = page_position(page_token)
            query = query.where(
                tuple_(JobRow.created_at, JobRow.id)
                < tuple_(literal(created_at, UtcDateTime()), literal(job_id))
            )
        with self._database.read() as session:
            rows = session.scalars(query.limit(limit + 1)).all()
            return JobPage(
                jobs=tuple(job_view(row) for row in rows[:limit]),
                next_page_token=token_of_position(rows[limit - 1]) if len(rows) > limit else None,
            )

    def events(self, job_id: str, *, after: int = 0, limit: int = 500) -> JobEventPage:
        """Oldest first, from the one that follows `after`. Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            rows = session.scalars(
                select(JobEventRow)
                .where(JobEventRow.job_id == job_id, JobEventRow.seq > after)
                .order_by(JobEventRow.seq)
                .limit(limit)
            ).all()
            return JobEventPage(
                events=tuple(event_view(row) for row in rows),
                next_after=rows[-1].seq if rows else after,
            )

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
                raise DriftgateError(
                    ErrorCode.JOB_STATE_CONFLICT,
                    f"Job {job_id} has already {state} and cannot be cancelled.",
                    [Violation("state", state, "any state that is not final")],
                )
            session.refresh(row)
            return job_view(row)

    def num_queued(self, queue: str) -> int:
        with self._database.read() as session:
            return (
                session.scalar(
                    select(func.count())
                    .select_from(JobRow)
                    .where(JobRow.queue == queue, JobRow.state == JobState.QUEUED)
                )
                or 0
            )

    def queues_with_work(self) -> list[str]:
        """Queues that hold a QUEUED job, by name."""
        with self._database.read() as session:
            return list(
                session.scalars(
                    select(JobRow.queue)
                    .where(JobRow.state == JobState.QUEUED)
                    .distinct()
                    .order_by(JobRow.queue)
                )
            )


def _insert(
    session: Session,
    spec: AnyJobSpec,
    *,
    warnings: Sequence[SpecWarning],
    queue: str,
    now: datetime,
) -> JobRow:
    row = JobRow(
        id=new_job_id(),
        name=spec.name,
        state=JobState.QUEUED,
        queue=queue,
        spec=spec.model_dump(mode="json"),
        spec_version=SPEC_VERSION,
        warnings=[warning.model_dump(mode="json") for warning in warnings],
        version=1,
        last_event_seq=1,
        step=0,
        update_index=0,
        evaluated_samples=0,
        samples_to_evaluate=0,
        lease_epoch=0,
        attempts_without_progress=0,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    add_first_event(session, row.id, now=now, message="Submitted.")
    return row


def _insert_key(
    session: Session, key: str, spec: AnyJobSpec, *, job_id: str, now: datetime
) -> None:
    session.execute(
        insert(IdempotencyKeyRow).values(
            key=key, request_sha256=_request_sha256(spec), job_id=job_id, created_at=now
        )
    )


def _job_of_key(session: Session, key: str, spec: AnyJobSpec) -> Job | None:
    known = session.get(IdempotencyKeyRow, key)
    if known is None:
        return None
    if known.request_sha256 != _request_sha256(spec):
        raise DriftgateError(
            ErrorCode.IDEMPOTENCY_CONFLICT,
            f"The idempotency key {key!r} was used for job {known.job_id} with another spec. "
            "Send the same spec to get that job, or a new key to make a new one.",
            [Violation("idempotency_key", key, "a key that was not used for another spec")],
        )
    return job_view(job_row(session, known.job_id))


def _request_sha256(spec: AnyJobSpec) -> str:
    """Of the spec with all defaults filled in, so that two ways to write one spec are equal."""
    canonical = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
