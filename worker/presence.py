"""The worker shows that it is there whenever it looks for work, and ends its entry when it leaves."""

import logging
import os
import secrets
import socket
from datetime import datetime
from importlib.metadata import version

from service.errors import DriftgateError
from service.jobs.capabilities import Capabilities
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.worker_store import WorkerProfile, WorkerStore

logger = logging.getLogger(__name__)


def make_profile(settings: Settings, capabilities: Capabilities) -> WorkerProfile:
    """Of this process; no other ever has its owner."""
    host = socket.gethostname()
    return WorkerProfile(
        owner=f"{host}:{os.getpid()}:{secrets.token_hex(4)}",
        host=host,
        capabilities=capabilities,
        queues=settings.resolved_queues(),
        version=version("driftgate"),
        aside_s=settings.worker_aside_s,
    )


class Presence:
    """Of one worker."""

    def __init__(
        self, profile: WorkerProfile, *, worker_store: WorkerStore, job_store: JobStore
    ) -> None:
        self._profile = profile
        self._worker_store = worker_store
        self._job_store = job_store
        self._told_aside_until: datetime | None = None

    def look(self) -> int:
        """How many jobs wait in the worker's queues; none while it is put aside.

        Raises DATABASE_UNAVAILABLE.
        """
        aside_until = self._worker_store.see(self._profile)
        if aside_until is not None:
            if aside_until != self._told_aside_until:
                logger.error(
                    "put aside until %s: jobs died here one after the other",
                    aside_until.isoformat(),
                )
                self._told_aside_until = aside_until
            return 0
        return sum(self._job_store.num_queued(queue) for queue in self._profile.queues)

    def leave(self) -> None:
        """Where the database is away the entry stays, and is forgotten in a day."""
        try:
            self._worker_store.leave(self._profile.owner)
        except DriftgateError as error:
            logger.warning("could not end the worker's entry: %s", error.message)
