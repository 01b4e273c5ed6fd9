"""When it is the worker that kills jobs: two different ones died on it in a row, so it is put aside, not they.

Of the two deaths each is forgiven whose job never died anywhere else. A job that died on two workers is suspect
itself; otherwise one that takes its whole worker down, together with its neighbours there, would do so for ever.
What was let go (drained, paused, cancelled) lies between two deaths without parting them; an answer parts them. A
success on the worker clears it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Update, exists, or_, select, update
from sqlalchemy.orm import Session

from service.jobs.state import TERMINAL_STATES
from service.storage.attempt_endings import DEATHS, AttemptEnding
from service.storage.state_moves import Lease
from service.storage.tables import AttemptRow, JobRow, WorkerRow

MAX_ASIDE_S = 86_400.0
MAX_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Blame:
    """Whether the death does not count against its job, and what its readers are told."""

    is_forgiven: bool
    told: str


NO_BLAME = Blame(is_forgiven=False, told="")


def blame_worker(session: Session, lease: Lease, *, now: datetime) -> Blame:
    """Put the worker aside if the attempt, which just ended in a crash, is the second of two deaths in a row.

    A worker that never registered is not put aside.
    """
    worker = session.scalars(
        select(WorkerRow).where(WorkerRow.owner == lease.owner).with_for_update()
    ).first()
    earlier = None if worker is None else _death_before(session, lease)
    if worker is None or earlier is None:
        return NO_BLAME
    if worker.aside_until is None or worker.aside_until <= now:
        _put_aside(
            worker,
            now=now,
            reason=f"jobs {earlier.job_id} and {lease.job_id} died on it, one after the other",
        )
    assert worker.aside_until is not None
    told = (
        f" Worker {worker.owner} claims nothing until {worker.aside_until:%Y-%m-%d %H:%M:%S}Z: "
        f"{worker.aside_reason}."
    )
    _forgive_earlier(session, earlier)
    if _died_elsewhere(session, lease.job_id, owner=lease.owner):
        return Blame(is_forgiven=False, told=told)
    session.execute(_forgive(lease.job_id, lease.epoch))
    return Blame(is_forgiven=True, told=f"{told} This attempt does not count against the job.")


def clear_worker(session: Session, owner: str) -> None:
    """A job succeeded there."""
    session.execute(
        update(WorkerRow)
        .where(WorkerRow.owner == owner, WorkerRow.num_times_aside > 0)
        .values(num_times_aside=0, aside_until=None, aside_reason=None)
        .execution_options(synchronize_session=False)
    )


def _death_before(session: Session, lease: Lease) -> AttemptRow | None:
    """What ended on the worker last, where that was a death of another job."""
    before = session.scalars(
        select(AttemptRow)
        .where(
            AttemptRow.owner == lease.owner,
            AttemptRow.ended_at.is_not(None),
            AttemptRow.ending.in_([*DEATHS, AttemptEnding.ANSWERED]),
            or_(AttemptRow.job_id != lease.job_id, AttemptRow.epoch != lease.epoch),
        )
        .order_by(AttemptRow.ended_at.desc())
        .limit(1)
    ).first()
    if before is None or before.ending not in DEATHS or before.job_id == lease.job_id:
        return None
    return before


def _put_aside(worker: WorkerRow, *, now: datetime, reason: str) -> None:
    length_s = worker.aside_s * 2 ** min(worker.num_times_aside, MAX_DOUBLINGS)
    worker.aside_until = now + timedelta(seconds=min(length_s, MAX_ASIDE_S))
    worker.aside_reason = reason
    worker.num_times_aside += 1


def _forgive_earlier(session: Session, attempt: AttemptRow) -> None:
    """Where another transaction has the job it stays counted: to wait here could be to wait for each other."""
    if attempt.ending == AttemptEnding.FORGIVEN:
        return
    row = session.scalars(
        select(JobRow).where(JobRow.id == attempt.job_id).with_for_update(skip_locked=True)
    ).first()
    if row is None or row.state in TERMINAL_STATES:
        return
    if _died_elsewhere(session, row.id, owner=attempt.owner):
        return
    session.execute(
        _forgive(attempt.job_id, attempt.epoch).values(
            outcome=AttemptRow.outcome + " Not counted: the next job on this worker died too."
        )
    )
    # Nothing ended on the worker since, and the job died nowhere else: what it counts now includes this death, unless
    # something was saved.
    if row.attempts_without_progress > 0:
        row.attempts_without_progress -= 1


def _died_elsewhere(session: Session, job_id: str, *, owner: str) -> bool:
    found = session.scalar(
        select(
            exists().where(
                AttemptRow.job_id == job_id,
                AttemptRow.owner != owner,
                AttemptRow.ending.in_(DEATHS),
            )
        )
    )
    return bool(found)


def _forgive(job_id: str, epoch: int) -> Update:
    return (
        update(AttemptRow)
        .where(AttemptRow.job_id == job_id, AttemptRow.epoch == epoch)
        .values(ending=AttemptEnding.FORGIVEN)
        .execution_options(synchronize_session=False)
    )
