"""`driftgate reconciler`: mends what crashes leave behind, tells of what it cannot mend, and delivers webhooks."""

import logging
import os
import secrets
import socket
import threading
from functools import partial

from service.artifact_cleanup import ArtifactCleanup
from service.artifacts.stores import open_artifacts
from service.reconciliation.audit import Audit
from service.reconciliation.expired_leases import take_expired_leases
from service.reconciliation.lost_doorbells import ring_for_waiting_jobs
from service.reconciliation.orphaned_folders import remove_orphaned_folders
from service.reconciliation.overdue_jobs import end_overdue_jobs
from service.reconciliation.rounds import Duty, Reconciler
from service.reconciliation.running_studies import advance_studies
from service.reconciliation.stuck_jobs import report_stuck_jobs
from service.reconciliation.waiting_jobs import explain_unmet_needs, forget_old_workers
from service.settings import Settings
from service.stop_signals import stop_on_signals
from service.storage.job_store import JobStore
from service.storage.leader_lease import LeaderLease
from service.storage.sessions import Database
from service.storage.study_store import StudyStore
from service.storage.webhook_queue import WebhookQueue
from service.task_queue import Doorbell, celery_app
from service.webhook_delivery import Deliverer

# Rounds that a leader may miss before another takes over.
LEADER_ROUNDS = 3
EXPLAINED_EVERY_S = 30.0
HOUR_S = 3600.0


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
    leadership = LeaderLease(
        database,
        name="reconciler",
        owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        lease_s=LEADER_ROUNDS * settings.reconcile_interval_s,
    )
    Reconciler(
        duties_of(settings, database=database, doorbell=doorbell),
        next_expiry_s=JobStore(database).next_expiry_s,
        leadership=leadership,
        lease_s=settings.lease_s,
        interval_s=settings.reconcile_interval_s,
    ).run_forever(stop, health_file=settings.health_file)
    deliveries.join()
    doorbell.close()
    database.close()


def duties_of(settings: Settings, *, database: Database, doorbell: Doorbell) -> list[Duty]:
    """In the order of a round."""
    job_store = JobStore(database)
    cleanup = ArtifactCleanup(job_store=job_store, artifacts=open_artifacts(settings))
    duties = [
        Duty(
            partial(
                take_expired_leases,
                job_store,
                max_attempts_without_progress=settings.max_attempts_without_progress,
            ),
            needs_steadiness=True,
        ),
        Duty(
            partial(end_overdue_jobs, job_store, grace_s=settings.lease_s + settings.stop_grace_s),
            needs_steadiness=True,
        ),
        # After what puts jobs back into their queues.
        Duty(partial(ring_for_waiting_jobs, job_store, doorbell)),
        Duty(
            partial(explain_unmet_needs, database, live_within_s=settings.lease_s),
            every_s=EXPLAINED_EVERY_S,
        ),
        Duty(
            partial(
                advance_studies,
                study_store=StudyStore(database),
                job_store=job_store,
                doorbell=doorbell,
            )
        ),
        Duty(cleanup.run_once),
        Duty(partial(forget_old_workers, database), every_s=HOUR_S),
        Duty(
            partial(remove_orphaned_folders, database, settings.resolved_artifact_root()),
            every_s=HOUR_S,
        ),
        Duty(Audit(database).run_once, every_s=settings.audit_interval_s),
    ]
    if settings.stuck_after_s is not None:
        duties.append(Duty(partial(report_stuck_jobs, database, after_s=settings.stuck_after_s)))
    return duties


def _deliver_webhooks(database: Database, settings: Settings, stop: threading.Event) -> None:
    # httpx would log every url, and receivers' urls may hold what only they should know.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        Deliverer(
            webhook_queue=WebhookQueue(database), allow_private=settings.webhook_allow_private
        ).run_forever(stop)
    finally:
        stop.set()  # after a defect the process ends and is started again, rather than go on without
