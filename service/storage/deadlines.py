"""How long workers may hold a job: `max_runtime_s` of its spec, over all of its attempts, on the database's clock.

A claim turns what is left into a point in time. While the job waits or is paused there is no deadline.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.errors import ErrorCode
from service.jobs.results import Failure
from service.jobs.spec import AnyJobSpec
from service.storage.job_rows import stored_spec
from service.storage.tables import AttemptRow, JobRow


def deadline_of_attempt(
    session: Session, job_id: str, spec: AnyJobSpec, *, now: datetime
) -> datetime | None:
    """When an attempt that begins now has to have ended; None where the job may take for ever."""
    if spec.max_runtime_s is None:
        return None
    earlier = session.execute(
        select(AttemptRow.started_at, AttemptRow.ended_at).where(
            AttemptRow.job_id == job_id, AttemptRow.ended_at.is_not(None)
        )
    )
    held = timedelta()
    for started_at, ended_at in earlier:
        assert ended_at is not None
        held += ended_at - started_at
    return now + timedelta(seconds=spec.max_runtime_s) - held


def seconds_until(deadline_at: datetime | None, *, now: datetime) -> float | None:
    """Below zero once it has passed."""
    return None if deadline_at is None else (deadline_at - now).total_seconds()


def deadline_failure(row: JobRow, *, ended_by: str = "") -> Failure:
    """ended_by: what ended the last attempt, where it was not the deadline itself."""
    sentences = (
        f"The job did not end within the {stored_spec(row).max_runtime_s} s of its max_runtime_s.",
        ended_by,
        "A new job with more may start from its newest checkpoint with warm_start.",
    )
    return Failure(
        code=ErrorCode.DEADLINE_EXCEEDED,
        message=" ".join(sentence for sentence in sentences if sentence),
    )
