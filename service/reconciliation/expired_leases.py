"""Jobs whose workers stopped renewing their leases are taken from them."""

import logging

from service.storage.job_store import JobStore

MAX_LEASES_AT_ONCE = 100

logger = logging.getLogger(__name__)


def take_expired_leases(job_store: JobStore, *, max_attempts_without_progress: int) -> None:
    """Each is compared again as it is taken: a worker may have come back."""
    for lease in job_store.expired_leases(MAX_LEASES_AT_ONCE):
        state = job_store.take_expired(
            lease.job_id, lease.epoch, max_attempts=max_attempts_without_progress
        )
        if state is not None:
            logger.warning(
                "attempt %d of job %s lost its worker %s: the job is %s",
                lease.epoch,
                lease.job_id,
                lease.owner,
                state,
            )
