"""Jobs in SQL as workers hold them: claimed, kept by heartbeats, ended, taken when forsaken."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import insert, select, update

from service.errors import DriftgateError, ErrorCode
from service.jobs.records import AttemptEvent
from service.jobs.results import Failure
from service.jobs.spec import AnyJobSpec
from service.jobs.state import HELD_STATES, JobPhase, JobState
from service.storage.attempt_ends import end_without_answer
from service.storage.job_rows import job_row, stored_spec
from service.storage.sessions import Database
from service.storage.state_moves import (
    Lease,
    end_attempt,
    held_row,
    hold_fence,
    lease_lost,
    move,
    record_event,
    standing,
)
from service.storage.tables import AttemptRow, JobRow

__all__ = ["Claim", "Lease", "LeaseStore", "Orders"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker now holds."""

    lease: Lease
    spec: AnyJobSpec


@dataclass(frozen=True, slots=True)
class Orders:
    """What the clients want of a job that a worker holds."""

    cancel: bool
    pause: bool


class LeaseStore:
    """The worker's and the reconciler's side of `JobStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, *, queue: str, owner: str, lease_s: float) -> Claim | None:
        """The QUEUED job of the highest priority, of these the oldest, now STARTING under a new lease.

        None where the queue holds none.
        """
        with self._database.transaction() as session:
            row = session.scalars(
                select(JobRow)
                .where(JobRow.queue == queue, JobRow.state == JobState.QUEUED)
                .order_by(JobRow.priority.desc(), JobRow.created_at, JobRow.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if row is None:
                return None
            now = self._database.now(session)
            lease = Lease(job_id=row.id, epoch=row.lease_epoch + 1, owner=owner)
            moved = move(
                session,
                row.id,
                JobState.STARTING,
                now=now,
                message=f"Claimed by {owner}.",
                epoch=row.lease_epoch,
                lease_epoch=lease.epoch,
                lease_owner=owner,
                lease_expires_at=now + timedelta(seconds=lease_s),
                started_at=row.started_at or now,
            )
            assert moved, "the row was QUEUED and is locked"
            session.execute(
                insert(AttemptRow).values(
                    job_id=lease.job_id, epoch=lease.epoch, owner=owner, started_at=now
                )
            )
            return Claim(lease=lease, spec=stored_spec(row))

    def heartbeat(self, lease: Lease, *, lease_s: float) -> Orders:
        """Renew the lease, counted from now. Raises LEASE_LOST where another attempt has the job.

        A lease that expired but was not taken is renewed like any other.
        """
        with self._database.transaction() as session:
            expires_at = self._database.now(session) + timedelta(seconds=lease_s)
            state = session.execute(
                update(JobRow)
                .where(*standing(lease))
                .values(lease_expires_at=expires_at)
                .returning(JobRow.state)
            ).scalar_one_or_none()
        if state is None:
            raise lease_lost(lease)
        return Orders(cancel=state == JobState.CANCELLING, pause=state == JobState.PAUSING)

    def start_running(self, lease: Lease) -> None:
        """STARTING → RUNNING; a job that is already running, or told to stop, stays as it is."""
        with self._database.transaction() as session:
            moved = move(
                session,
                lease.job_id,
                JobState.RUNNING,
                now=self._database.now(session),
                message="Running.",
                epoch=lease.epoch,
            )
            if not moved:
                hold_fence(session, lease)

    def set_phase(self, lease: Lease, phase: JobPhase) -> None:
        with self._database.transaction() as session:
            record_event(
                session,
                lease,
                now=self._database.now(session),
                event_type="phase_changed",
                message=f"Phase {phase}.",
                phase=phase,
            )

    def add_event(self, lease: Lease, event: AttemptEvent) -> None:
        with self._database.transaction() as session:
            record_event(
                session,
                lease,
                now=self._database.now(session),
                event_type=event.type,
                message=event.message,
            )

    def finish(
        self, lease: Lease, *, state: JobState, failure: Failure | None, message: str
    ) -> JobState:
        """The final state of the job: `state`, or CANCELLED where a cancel was asked for.

        Raises LEASE_LOST, and JOB_STATE_CONFLICT where the job cannot move there.
        """
        with self._database.transaction() as session:
            row = held_row(session, lease)
            cancelled = row.state == JobState.CANCELLING
            target = JobState.CANCELLED if cancelled else state
            now = self._database.now(session)
            moved = move(
                session,
                lease.job_id,
                target,
                now=now,
                message=message,
                epoch=lease.epoch,
                failure=None if cancelled or failure is None else failure.model_dump(mode="json"),
            )
            if not moved:
                raise DriftgateError(
                    ErrorCode.JOB_STATE_CONFLICT,
                    f"Job {lease.job_id} is {row.state} and cannot become {target}.",
                )
            end_attempt(session, lease, now=now, outcome=message)
            return target

    def release(self, lease: Lease, *, message: str, counted: bool, max_attempts: int) -> JobState:
        """End an attempt that has no answer: the job waits again, or ends; returns where it stands.

        counted: whether it counts against the job when it saved no newer checkpoint (a crash does,
        a worker that was told to stop does not). Raises LEASE_LOST.
        """
        with self._database.transaction() as session:
            return end_without_answer(
                session,
                held_row(session, lease),
                lease,
                now=self._database.now(session),
                message=message,
                counted=counted,
                max_attempts=max_attempts,
            )

    def expired_leases(self, limit: int) -> list[Lease]:
        """Leases that nobody renewed in time, longest expired first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(JobRow)
                .where(
                    JobRow.state.in_(HELD_STATES),
                    JobRow.lease_expires_at < self._database.now(session),
                )
                .order_by(JobRow.lease_expires_at)
                .limit(limit)
            )
            return [Lease(row.id, row.lease_epoch, row.lease_owner or "") for row in rows]

    def take_expired(self, job_id: str, epoch: int, *, max_attempts: int) -> JobState | None:
        """End an attempt whose lease expired, as `release` does; None where it stands after all."""
        with self._database.transaction() as session:
            row = job_row(session, job_id, lock=True)
            now = self._database.now(session)
            lease = Lease(job_id, row.lease_epoch, row.lease_owner or "")
            expired = row.lease_expires_at is not None and row.lease_expires_at < now
            if row.lease_epoch != epoch or not expired:
                return None
            return end_without_answer(
                session,
                row,
                lease,
                now=now,
                message=f"Worker {lease.owner} stopped renewing its lease.",
                counted=True,
                max_attempts=max_attempts,
            )
