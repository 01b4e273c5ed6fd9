"""Jobs that no live worker can take are explained to their readers; workers long gone are forgotten."""

import logging

from service.storage.sessions import Database
from service.storage.unmet_needs import tell_of_unmet_needs
from service.storage.worker_store import WorkerStore

# A service that starts has no worker for a moment, which is not worth telling.
EXPLAINED_AFTER_S = 30.0
MAX_TOLD_AT_ONCE = 100
FORGOTTEN_AFTER_S = 24 * 3600.0

logger = logging.getLogger(__name__)


def explain_unmet_needs(
    database: Database, *, live_within_s: float, waiting_s: float = EXPLAINED_AFTER_S
) -> None:
    """live_within_s: a worker is live that was seen within it."""
    workers = WorkerStore(database).list_workers(live_within_s=live_within_s)
    live = [worker for worker in workers if worker.is_live]
    num_told = tell_of_unmet_needs(database, live, waiting_s=waiting_s, limit=MAX_TOLD_AT_ONCE)
    if num_told:
        logger.warning("%d waiting jobs need what no live worker has", num_told)


def forget_old_workers(database: Database) -> None:
    """Of processes that ended without a word a day ago."""
    WorkerStore(database).forget_unseen(after_s=FORGOTTEN_AFTER_S)
