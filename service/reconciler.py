"""Mends what crashes leave behind: forsaken leases, and doorbells that nobody heard; clears what is deleted."""

import logging
import threading
import time
from collections.abc import Callable

from service.artifact_cleanup import ArtifactCleanup
from service.errors import DriftgateError, ErrorCode
from service.settings import Settings
from service.stop_signals import stop_on_signals
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.storage.webhook_queue import WebhookQueue
from service.task_queue import Doorbell, celery_app
from service.webhook_delivery import Deliverer

MAX_LEASES_AT_ONCE = 100

logger = logging.getLogger(__name__)


class Reconciler:
    """Several may run at once: every step is a compare-and-set or a harmless ring.

    After the database was away every lease looks expired, though workers could not renew theirs. So
    nothing is taken until the database has answered for one lease without a break, counted anew from
    the start and from every outage.
    """

    def __init__(
        self,
        *,
        job_store: JobStore,
        doorbell: Doorbell,
        cleanup: ArtifactCleanup,
        lease_s: float,
        max_attempts_without_progress: int,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job_store = job_store
        self._doorbell = doorbell
        self._cleanup = cleanup
        self._lease_s = lease_s
        self._max_attempts = max_attempts_without_progress
        self._interval_s = interval_s
        self._clock = clock
        self._answered_since: float | None = None

    def run_once(self) -> None:
        """One round; an outage of the database ends it and is remembered."""
        try:
            # Rings need an answer of the database too, so an outage is noticed with nothing to take.
            self._ring_for_waiting_jobs()
            if self._database_is_steady():
                self._take_expired_leases()
            self._cleanup.run_once()
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            self._answered_since = None
            logger.warning("no round: %s", error.message)

    def run_forever(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.run_once()
            stop.wait(self._interval_s)

    def _database_is_steady(self) -> bool:
        now = self._clock()
        if self._answered_since is None:
            self._answered_since = now
        return now - self._answered_since >= self._lease_s

    def _take_expired_leases(self) -> None:
        for lease in self._job_store.expired_leases(MAX_LEASES_AT_ONCE):
            state = self._job_store.take_expired(
                lease.job_id, lease.epoch, max_attempts=self._max_attempts
            )
            if state is not None:
                logger.warning(
                    "attempt %d of job %s lost its worker %s: the job is %s",
                    lease.epoch,
                    lease.job_id,
                    lease.owner,
                    state,
                )

    def _ring_for_waiting_jobs(self) -> None:
        """As many messages as there are jobs waiting: more would only pile up."""
        for queue in self._job_store.queues_with_work():
            num_messages = self._doorbell.num_waiting(queue)
            if num_messages is not None:
                num_missing = self._job_store.num_queued(queue) - num_messages
                if num_missing > 0:
                    self._doorbell.ring(queue, times=num_missing)


def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = stop_on_signals()
    database = Database(settings.resolved_database_url())
    doorbell = Doorbell(celery_app(settings))
    # A thread of its own: slow receivers delay no lease. It does not keep a process that failed.
    deliveries = threading.Thread(
        target=_deliver_webhooks, args=(database, settings, stop), name="webhooks", daemon=True
    )
    deliveries.start()
    job_store = JobStore(database)
    Reconciler(
        job_store=job_store,
        doorbell=doorbell,
        cleanup=ArtifactCleanup(
            job_store=job_store, artifact_root=settings.resolved_artifact_root()
        ),
        lease_s=settings.lease_s,
        max_attempts_without_progress=settings.max_attempts_without_progress,
        interval_s=settings.reconcile_interval_s,
    ).run_forever(stop)
    deliveries.join()
    doorbell.close()
    database.close()


def _deliver_webhooks(database: Database, settings: Settings, stop: threading.Event) -> None:
    # httpx would log every url, and receivers' urls may hold what only they should know.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        Deliverer(
            webhook_queue=WebhookQueue(database), allow_private=settings.webhook_allow_private
        ).run_forever(stop)
    finally:
        stop.set()  # after a defect the process ends and is started again, rather than go on without
