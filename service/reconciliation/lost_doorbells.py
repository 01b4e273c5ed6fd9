"""Rings again for jobs that wait: the message that told of them may be lost."""

from service.storage.job_store import JobStore
from service.task_queue import Doorbell


def ring_for_waiting_jobs(job_store: JobStore, doorbell: Doorbell) -> None:
    """As many messages as there are jobs waiting: more would only pile up."""
    for queue in job_store.queues_with_work():
        num_messages = doorbell.num_waiting(queue)
        if num_messages is not None:
            num_missing = job_store.num_queued(queue) - num_messages
            if num_missing > 0:
                doorbell.ring(queue, times=num_missing)
