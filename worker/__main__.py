"""`python -m worker`: the Celery worker, as the settings say."""

import logging
import os
import threading

from service.health_file import touch_health_file
from service.settings import Settings, load_settings
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.storage.worker_store import WorkerStore
from service.task_queue import celery_app
from worker.capabilities import device_names, find_capabilities
from worker.nursery_keeper import NurseryKeeper
from worker.presence import Presence, make_profile
from worker.ranks_devices import DeviceAllotment
from worker.supervisor import Supervisor, child_environment
from worker.tasks import WorkPoll, WorkSlots, install, run_next_job


def main() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings = load_settings()
    drain, at_once = threading.Event(), threading.Event()
    nursery = _start_nursery(settings)
    database = Database(settings.resolved_database_url())
    job_store = JobStore(database)
    worker = make_profile(settings, find_capabilities(settings))
    devices = DeviceAllotment(
        device_names(worker.capabilities.device, settings), num_slots=settings.worker_slots
    )
    presence = Presence(worker, worker_store=WorkerStore(database), job_store=job_store)
    supervisor = Supervisor(
        job_store=job_store,
        artifact_root=settings.resolved_artifact_root(),
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        stop_grace_s=settings.stop_grace_s,
        max_attempts_without_progress=settings.max_attempts_without_progress,
        threads_per_job=settings.threads_per_job,
        drain=drain,
        at_once=at_once,
        nursery=nursery,
    )
    slots = WorkSlots(
        num_slots=settings.worker_slots,
        run_next=lambda: run_next_job(
            job_store, supervisor, worker=worker, devices=devices, lease_s=settings.lease_s
        ),
        drain=drain,
    )

    def look_for_work() -> int:
        touch_health_file(settings.health_file)
        return presence.look()

    poll = WorkPoll(
        slots,
        num_queued=look_for_work,
        max_threads=settings.worker_slots,
        poll_interval_s=settings.poll_interval_s,
        drain=drain,
    )
    app = celery_app(settings)
    install(app, slots, poll, drain=drain, at_once=at_once)
    try:
        app.worker_main(
            [
                "worker",
                *("--pool", "threads"),
                *("--concurrency", str(settings.worker_slots)),
                *("--queues", ",".join(worker.queues)),
                *("--hostname", f"driftgate-{os.getpid()}@%h"),
                *("--loglevel", "INFO"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ]
        )
    finally:
        presence.leave()


def _start_nursery(settings: Settings) -> NurseryKeeper | None:
    if not settings.nursery:
        return None
    nursery = NurseryKeeper(environment=child_environment(settings.threads_per_job))
    nursery.start()
    return nursery


if __name__ == "__main__":
    main()
