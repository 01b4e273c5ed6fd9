"""Moves of a job between states: each a compare-and-set with its event, in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import HELD_STATES, TERMINAL_STATES, JobState, states_leading_to
from service.storage.attempt_endings import AttemptEnding
from service.storage.change_feed import next_change_seq
from service.storage.tables import AttemptRow, JobEventRow, JobRow
from service.storage.webhook_outbox import SOMEONE_LISTENS, add_deliveries

EVENTS: SqlTable = JobEventRow.metadata.tables[JobEventRow.__tablename__]
INSERT_EVENT = insert(EVENTS).returning(SOMEONE_LISTENS)


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on a job. It stands while `epoch` is the job's newest and the job is held."""

    job_id: str
    epoch: int
    owner: str


def move(
    session: Session,
    job_id: str,
    target: JobState,
    *,
    now: datetime,
    message: str,
    epoch: int | None = None,
    origin: JobState | None = None,
    event_type: str = "state_changed",
    **values: Any,
) -> bool:
    """Move the job to `target` with its event; False, and nothing changed, where that is no legal move.

    epoch: the move also needs the job's lease to be of this epoch. origin: of the states that lead there, the only one that
    it may leave. values: further columns to set.
    """
    if target not in HELD_STATES:
        values |= {
            "phase": None,
            "lease_owner": None,
            "lease_expires_at": None,
            "deadline_at": None,
        }
    if target in TERMINAL_STATES:
        values["finished_at"] = now
    conditions = [JobRow.id == job_id, JobRow.state.in_(states_leading_to(target))]
    if epoch is not None:
        conditions.append(JobRow.lease_epoch == epoch)
    if origin is not None:
        conditions.append(JobRow.state == origin)
    return _change_with_event(
        session, conditions, {"state": target, **values}, now=now, type_=event_type, message=message
    )


def record_event(
    session: Session, lease: Lease, *, now: datetime, event_type: str, message: str, **values: Any
) -> None:
    """Add an event that changes no state, under the fence. values: columns of the job to set."""
    changed = _change_with_event(
        session, standing(lease), values, now=now, type_=event_type, message=message
    )
    if not changed:
        raise lease_lost(lease)


def tell_why_it_waits(session: Session, job_id: str, *, now: datetime, reason: str) -> bool:
    """Add an event to a QUEUED job; False, and nothing written, where it is not QUEUED any more."""
    return _change_with_event(
        session,
        [JobRow.id == job_id, JobRow.state == JobState.QUEUED],
        {"waits_because": reason},
        now=now,
        type_="waiting",
        message=f"Waiting: {reason}.",
    )


def change_under_fence(session: Session, lease: Lease, *, now: datetime, **values: Any) -> None:
    """Set columns of the job and grow its version. Raises LEASE_LOST where the lease fell."""
    changed = session.execute(
        update(JobRow)
        .where(*standing(lease))
        .values(**grown(session, now=now), **values)
        .returning(JobRow.id)
        .execution_options(synchronize_session=False)
    ).first()
    if changed is None:
        raise lease_lost(lease)


def grown(session: Session, *, now: datetime) -> dict[str, Any]:
    """What every change of a job sets."""
    is_postgres = session.get_bind().dialect.name == "postgresql"
    return {
        "version": JobRow.version + 1,
        "updated_at": now,
        "change_seq": next_change_seq(is_postgres=is_postgres),
    }


def hold_fence(session: Session, lease: Lease) -> None:
    """Keep the lease from falling until the transaction ends. Raises LEASE_LOST where it fell.

    FOR SHARE: other writers of this attempt go on, a thief of the lease waits.
    """
    found = session.execute(
        select(JobRow.id).where(*standing(lease)).with_for_update(read=True)
    ).first()
    if found is None:
        raise lease_lost(lease)


def held_row(session: Session, lease: Lease) -> JobRow:
    """The job's row, locked until the transaction ends. Raises LEASE_LOST."""
    row = session.scalars(select(JobRow).where(*standing(lease)).with_for_update()).first()
    if row is None:
        raise lease_lost(lease)
    return row


def end_attempt(
    session: Session, lease: Lease, *, now: datetime, outcome: str, ending: AttemptEnding
) -> None:
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.job_id == lease.job_id, AttemptRow.epoch == lease.epoch)
        .values(ended_at=now, outcome=outcome, ending=ending)
    )


def standing(lease: Lease) -> list[ColumnElement[bool]]:
    """What must be true of the job's row for the lease to stand."""
    return [
        JobRow.id == lease.job_id,
        JobRow.lease_epoch == lease.epoch,
        JobRow.state.in_(HELD_STATES),
    ]


def lease_lost(lease: Lease) -> DriftgateError:
    return DriftgateError(
        ErrorCode.LEASE_LOST,
        f"The lease of attempt {lease.epoch} on job {lease.job_id} no longer stands: the job ended "
        "or another attempt has it. Nothing was written; stop working on it.",
    )


def _change_with_event(
    session: Session,
    conditions: list[ColumnElement[bool]],
    values: dict[str, Any],
    *,
    now: datetime,
    type_: str,
    message: str,
) -> bool:
    # The job's own row hands out the seq, so its lock makes the numbers gapless.
    changed = session.execute(
        update(JobRow)
        .where(*conditions)
        .values(**grown(session, now=now), last_event_seq=JobRow.last_event_seq + 1, **values)
        .returning(JobRow.id, JobRow.last_event_seq, JobRow.state, JobRow.lease_epoch)
        .execution_options(synchronize_session=False)
    ).first()
    if changed is None:
        return False
    event = {
        "job_id": changed.id,
        "seq": changed.last_event_seq,
        "at": now,
        "type": type_,
        "state": changed.state,
        "attempt": changed.lease_epoch,
        "message": message,
    }
    someone_listens = session.execute(INSERT_EVENT, event).scalar_one()
    if someone_listens and "state" in values:
        state = JobState(changed.state)
        add_deliveries(session, changed.id, event_seq=changed.last_event_seq, state=state, now=now)
    return True
