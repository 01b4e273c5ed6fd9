"""Running jobs that have not moved for long: their workers renew the lease, and nothing else happens."""

from datetime import timedelta

from sqlalchemy import select

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import JobState
from service.storage.sessions import Database
from service.storage.state_moves import Lease, record_event
from service.storage.tables import JobRow


def tell_of_stuck_jobs(database: Database, *, after_s: float, limit: int) -> list[str]:
    """Ids of the jobs that got an event; it is their newest change, so the next is as long away."""
    with database.read() as session:
        unmoved_since = database.now(session) - timedelta(seconds=after_s)
        rows = session.scalars(
            select(JobRow)
            .where(JobRow.state == JobState.RUNNING, JobRow.updated_at < unmoved_since)
            .order_by(JobRow.updated_at)
            .limit(limit)
        )
        stuck = [
            (Lease(row.id, row.lease_epoch, row.lease_owner or ""), row.phase, row.updated_at)
            for row in rows
        ]
    told = []
    for lease, phase, moved_at in stuck:
        try:
            with database.transaction() as session:
                record_event(
                    session,
                    lease,
                    now=database.now(session),
                    event_type="stuck",
                    message=f"Nothing has changed since {moved_at:%Y-%m-%d %H:%M:%S}Z, in phase {phase}, though "
                    f"worker {lease.owner} is there.",
                )
        except DriftgateError as error:
            if error.code is not ErrorCode.LEASE_LOST:  # it moved after all
                raise
        else:
            told.append(lease.job_id)
    return told
