"""Jobs past their deadline, whose workers should have ended them and did not."""

import logging

from service.storage.job_store import JobStore

MAX_LEASES_AT_ONCE = 100

logger = logging.getLogger(__name__)


def end_overdue_jobs(job_store: JobStore, *, grace_s: float) -> None:
    """A worker that is there is left the grace, to let the job save and to end it itself."""
    for lease in job_store.overdue_leases(grace_s=grace_s, limit=MAX_LEASES_AT_ONCE):
        state = job_store.take_overdue(lease.job_id, lease.epoch)
        if state is not None:
            logger.warning("job %s was past its deadline: it is %s", lease.job_id, state)
