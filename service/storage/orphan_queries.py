"""What the rows say of folders: which jobs have ended long ago, and which checkpoints they have."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from service.jobs.state import TERMINAL_STATES
from service.storage.sessions import Database
from service.storage.tables import CheckpointRow, JobRow


def ended_jobs(database: Database, job_ids: Sequence[str], *, for_s: float) -> list[str]:
    """Those of the jobs that have been over for so long."""
    with database.read() as session:
        before = database.now(session) - timedelta(seconds=for_s)
        return list(
            session.scalars(
                select(JobRow.id).where(
                    JobRow.id.in_(job_ids),
                    JobRow.state.in_(TERMINAL_STATES),
                    JobRow.finished_at <= before,
                )
            )
        )


def saved_checkpoints(database: Database, job_ids: Sequence[str]) -> set[tuple[str, int, str]]:
    """Job, epoch and name of the folder of each checkpoint, wherever it lies."""
    rows = database.rows(
        select(CheckpointRow.job_id, CheckpointRow.epoch, CheckpointRow.uri).where(
            CheckpointRow.job_id.in_(job_ids)
        )
    )
    return {(row.job_id, row.epoch, row.uri.rstrip("/").rpartition("/")[2]) for row in rows}
