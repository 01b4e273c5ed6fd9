"""The jobs of a study pause and resume with it: in one transaction that holds the study's row.

Were they told one by one, a process that dies in between would leave a running study whose jobs stay paused, and a round
that had seen the study paused would pause what was resumed meanwhile.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs.state import WHEN_PAUSED, WHEN_RESUMED, JobState
from service.storage.state_moves import move
from service.storage.tables import JobRow, StudyRunRow


def pause_jobs(session: Session, study_id: str, *, now: datetime) -> None:
    """Of a study whose row is locked."""
    _move_jobs(session, study_id, WHEN_PAUSED, now=now, message="Pause requested.")


def resume_jobs(session: Session, study_id: str, *, now: datetime) -> int:
    """Of a study whose row is locked; how many wait again."""
    moved = _move_jobs(session, study_id, WHEN_RESUMED, now=now, message="Resume requested.")
    return moved.count(JobState.QUEUED)


def _move_jobs(
    session: Session,
    study_id: str,
    targets: Mapping[JobState, JobState],
    *,
    now: datetime,
    message: str,
) -> list[JobState]:
    """Where they are now, of those that moved."""
    rows = session.execute(
        select(JobRow.id, JobRow.state)
        .join(StudyRunRow, StudyRunRow.job_id == JobRow.id)
        .where(StudyRunRow.study_id == study_id, JobRow.state.in_(targets))
        .order_by(StudyRunRow.position)
        .with_for_update(of=JobRow)
    ).all()
    moved = []
    for job_id, state in rows:
        target = targets[JobState(state)]
        if move(session, job_id, target, now=now, message=message):
            moved.append(target)
    return moved
