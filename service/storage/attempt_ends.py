"""What becomes of a job whose attempt ended without an answer: waits again, obeys, or is given up."""

from datetime import datetime
from itertools import takewhile

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.errors import ErrorCode
from service.jobs.results import Failure
from service.jobs.state import JobState
from service.storage.attempt_endings import AttemptEnding, saved_something_new
from service.storage.deadlines import deadline_failure
from service.storage.state_moves import Lease, end_attempt, move
from service.storage.tables import AttemptRow, JobRow
from service.storage.worker_blame import blame_worker

MAX_ATTEMPTS_NAMED = 10


def end_without_answer(
    session: Session,
    row: JobRow,
    lease: Lease,
    *,
    now: datetime,
    message: str,
    counted: bool,
    max_attempts: int,
) -> JobState:
    """The state that the job moved to; `row` is locked and held under `lease`.

    A job whose cancel was asked for is cancelled, and one that is past its deadline has failed. Otherwise attempts in
    a row that saved nothing new count against it, so that a job which kills its workers does not do so for ever;
    unless the worker is to blame.
    """
    ending = AttemptEnding.CRASHED if counted else AttemptEnding.LET_GO
    end_attempt(session, lease, now=now, outcome=message, ending=ending)
    if counted:
        blame = blame_worker(session, lease, now=now)
        counted = not blame.is_forgiven
        message += blame.told
    without_progress = _attempts_without_progress(session, row, lease, counted=counted)
    failure = None
    if row.state == JobState.CANCELLING:
        target = JobState.CANCELLED
    elif row.deadline_at is not None and now >= row.deadline_at:
        target = JobState.FAILED
        failure = deadline_failure(row, ended_by=message)
    elif counted and without_progress >= max_attempts:
        target = JobState.FAILED
        failure = _quarantine(session, row, num_attempts=without_progress)
    elif row.state == JobState.PAUSING:
        target = JobState.PAUSED
    else:
        target = JobState.QUEUED
    moved = move(
        session,
        row.id,
        target,
        now=now,
        message=failure.message if failure else message,
        epoch=lease.epoch,
        event_type="attempt_ended",
        attempts_without_progress=without_progress,
        failure=failure.model_dump(mode="json") if failure else None,
    )
    assert moved, "the row is locked, and these are edges of a held state"
    return target


def _attempts_without_progress(
    session: Session, row: JobRow, lease: Lease, *, counted: bool
) -> int:
    if saved_something_new(session.get_one(AttemptRow, (lease.job_id, lease.epoch))):
        return 0
    return row.attempts_without_progress + int(counted)


def _quarantine(session: Session, row: JobRow, *, num_attempts: int) -> Failure:
    newest_first = session.scalars(
        select(AttemptRow)
        .where(AttemptRow.job_id == row.id)
        .order_by(AttemptRow.epoch.desc())
        .limit(MAX_ATTEMPTS_NAMED)
    ).all()
    in_vain = list(takewhile(lambda attempt: not saved_something_new(attempt), newest_first))
    ends = " ".join(f"Attempt {attempt.epoch}: {attempt.outcome}" for attempt in reversed(in_vain))
    return Failure(
        code=ErrorCode.POISON_QUARANTINED,
        message=f"Given up after {num_attempts} attempts in a row that saved no newer checkpoint. "
        f"{ends} A new job with the same spec starts afresh, once the cause is mended.",
    )
