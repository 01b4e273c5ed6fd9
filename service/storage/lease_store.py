"""Jobs in SQL as workers hold them: claimed, kept by heartbeats, ended, taken when forsaken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, insert, select, update

from service.errors import DriftgateError, ErrorCode
from service.jobs.capabilities import Capabilities
from service.jobs.records import AttemptEvent
from service.jobs.results import Failure
from service.jobs.spec import AnyJobSpec
from service.jobs.state import HELD_STATES, JobPhase, JobState
from service.storage.attempt_endings import AttemptEnding
from service.storage.attempt_ends import end_without_answer
from service.storage.deadlines import deadline_of_attempt, seconds_until
from service.storage.fair_claims import next_job_for
from service.storage.job_rows import job_row_if_there, stored_spec
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
from service.storage.worker_blame import clear_worker
from service.storage.worker_store import is_aside

__all__ = ["Claim", "Lease", "LeaseStore", "Orders"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker now holds."""

    lease: Lease
    spec: AnyJobSpec


@dataclass(frozen=True, slots=True)
class Orders:
    """What the clients want of a job that a worker holds.

    seconds_left: until the job's deadline, below zero once it has passed; None where there is none.
    """

    cancel: bool
    pause: bool
    seconds_left: float | None = None


class LeaseStore:
    """The worker's and the reconciler's side of `JobStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        *,
        queue: str | Sequence[str],
        owner: str,
        lease_s: float,
        capabilities: Capabilities | None = None,
    ) -> Claim | None:
        """The QUEUED job whose turn it is, now STARTING under a new lease; see `service.storage.fair_claims`.

        queue: one, or several. capabilities: None meets the needs of every job. None where the queues hold
        nothing that this worker may take, or where it is put aside.
        """
        queues = (queue,) if isinstance(queue, str) else tuple(queue)
        with self._database.transaction() as session:
            if is_aside(session, owner, now=self._database.now(session)):
                return None
            row = next_job_for(session, queues=queues, capabilities=capabilities)
            if row is None:
                return None
            now = self._database.now(session)
            spec = stored_spec(row)
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
                deadline_at=deadline_of_attempt(session, row.id, spec, now=now),
                waits_because=None,
                started_at=row.started_at or now,
            )
            assert moved, "the row was QUEUED and is locked"
            session.execute(
                insert(AttemptRow).values(
                    job_id=lease.job_id, epoch=lease.epoch, owner=owner, started_at=now
                )
            )
            return Claim(lease=lease, spec=spec)

    def heartbeat(self, lease: Lease, *, lease_s: float) -> Orders:
        """Renew the lease, counted from now. Raises LEASE_LOST where another attempt has the job.

        A lease that expired but was not taken is renewed like any other.
        """
        with self._database.transaction() as session:
            now = self._database.now(session)
            job = session.execute(
                update(JobRow)
                .where(*standing(lease))
                .values(lease_expires_at=now + timedelta(seconds=lease_s))
                .returning(JobRow.state, JobRow.deadline_at)
            ).first()
        if job is None:
            raise lease_lost(lease)
        return Orders(
            cancel=job.state == JobState.CANCELLING,
            pause=job.state == JobState.PAUSING,
            seconds_left=seconds_until(job.deadline_at, now=now),
        )

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
                # A job that is to pause may go on too, but that is for its client to say.
                origin=JobState.STARTING,
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
            is_answer = target in (JobState.SUCCEEDED, JobState.FAILED)
            end_attempt(
                session,
                lease,
                now=now,
                outcome=message,
                ending=AttemptEnding.ANSWERED if is_answer else AttemptEnding.LET_GO,
            )
            if target is JobState.SUCCEEDED:
                clear_worker(session, lease.owner)
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

    def overdue_leases(self, *, grace_s: float, limit: int) -> list[Lease]:
        """Of jobs whose deadline passed longer ago than the grace, whatever their workers do."""
        with self._database.read() as session:
            passed_before = self._database.now(session) - timedelta(seconds=grace_s)
            rows = session.scalars(
                select(JobRow)
                .where(JobRow.state.in_(HELD_STATES), JobRow.deadline_at < passed_before)
                .order_by(JobRow.deadline_at)
                .limit(limit)
            )
            return [Lease(row.id, row.lease_epoch, row.lease_owner or "") for row in rows]

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

    def next_expiry_s(self) -> float | None:
        """Seconds until the first of the leases in force ends unless it is renewed; None where none is."""
        with self._database.read() as session:
            now = self._database.now(session)
            first = session.scalar(
                select(func.min(JobRow.lease_expires_at)).where(
                    JobRow.state.in_(HELD_STATES), JobRow.lease_expires_at >= now
                )
            )
            return None if first is None else (first - now).total_seconds()

    def take_expired(self, job_id: str, epoch: int, *, max_attempts: int) -> JobState | None:
        """End an attempt whose lease expired, as `release` does; None where it stands after all, or the job is gone."""
        with self._database.transaction() as session:
            # What looked forsaken a moment ago may have been ended by another, and deleted.
            row = job_row_if_there(session, job_id, lock=True)
            if row is None or row.lease_epoch != epoch:
                return None
            now = self._database.now(session)
            if row.lease_expires_at is None or row.lease_expires_at >= now:
                return None
            owner = row.lease_owner or ""
            return end_without_answer(
                session,
                row,
                Lease(job_id, epoch, owner),
                now=now,
                message=f"Worker {owner} stopped renewing its lease.",
                counted=True,
                max_attempts=max_attempts,
            )

    def take_overdue(self, job_id: str, epoch: int) -> JobState | None:
        """End an attempt that is past its job's deadline, as `release` does; None where it is not, or the job is gone."""
        with self._database.transaction() as session:
            row = job_row_if_there(session, job_id, lock=True)
            if row is None or row.lease_epoch != epoch:
                return None
            now = self._database.now(session)
            if row.deadline_at is None or row.deadline_at >= now:
                return None
            owner = row.lease_owner or ""
            return end_without_answer(
                session,
                row,
                Lease(job_id, epoch, owner),
                now=now,
                message=f"Worker {owner} went on after it.",
                counted=False,
                max_attempts=1,
            )
