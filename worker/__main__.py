"""`python -m worker`: the Celery worker, as the settings say."""

import logging
import os
import secrets
import socket
import threading

from service.settings import load_settings
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.task_queue import celery_app
from worker.supervisor import Supervisor
from worker.tasks import WorkPoll, WorkSlots, install, run_next_job


def main() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings = load_settings()
    drain = threading.Event()
    job_store = JobStore(Database(settings.resolved_database_url()))
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    supervisor = Supervisor(
        job_store=job_store,
        artifact_root=settings.resolved_artifact_root(),
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        stop_grace_s=settings.stop_grace_s,
        max_attempts_without_progress=settings.max_attempts_without_progress,
        threads_per_job=settings.threads_per_job,
        drain=drain,
    )
    slots = WorkSlots(
        num_slots=settings.worker_slots,
        run_next=lambda: run_next_job(
            job_store, supervisor, queue=settings.queue, owner=owner, lease_s=settings.lease_s
        ),
        drain=drain,
    )
    poll = WorkPoll(
        slots,
        num_queued=lambda: job_store.num_queued(settings.queue),
        max_threads=settings.worker_slots,
        poll_interval_s=settings.poll_interval_s,
        drain=drain,
    )
    app = celery_app(settings)
    install(app, slots, poll, drain=drain)
    app.worker_main(
        [
            "worker",
            *("--pool", "threads"),
            *("--concurrency", str(settings.worker_slots)),
            *("--queues", settings.queue),
            *("--hostname", f"driftgate-{os.getpid()}@%h"),
            *("--loglevel", "INFO"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )


if __name__ == "__main__":
    main()
