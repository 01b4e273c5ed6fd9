"""Running jobs that do not move are told of, not killed: a long evaluation may be what they do."""

import logging

from service.storage.sessions import Database
from service.storage.stuck_jobs import tell_of_stuck_jobs

MAX_TOLD_AT_ONCE = 100

logger = logging.getLogger(__name__)


def report_stuck_jobs(database: Database, *, after_s: float) -> None:
    """An event and a line of the log for each, again when as much time has passed once more."""
    for job_id in tell_of_stuck_jobs(database, after_s=after_s, limit=MAX_TOLD_AT_ONCE):
        logger.warning("job %s runs, and has not moved for %g s", job_id, after_s)
