"""One run: a deployment, clients and watchers, faults from a seed, then an end, and what must be true of it."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from service.errors import DriftgateError, ErrorCode
from service.jobs.access import Caller, Scope
from service.jobs.api_keys import ApiKeyRequest
from service.jobs.state import TERMINAL_STATES, JobState
from service.storage.api_key_store import ApiKeyStore
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from tests.chaos.audit import Audit, install_triggers
from tests.chaos.clients import Client, Known
from tests.chaos.databases import open_database
from tests.chaos.deployment import SERVICES, WORKERS, Deployment
from tests.chaos.faults import Faults
from tests.chaos.history import Evidence, Verb, Violation
from tests.chaos.invariants import violations_of
from tests.chaos.transports import Grpc, Rest
from tests.chaos.watchers import MAX_WATCHERS, Watcher
from tests.worker.small_jobs import small_job

ACTIVE_STATES = tuple(state for state in JobState if state not in TERMINAL_STATES)
NUM_REST_CLIENTS = 3
QUOTA = 2
KEEP = "CHAOS_KEEP"
STOPPED_IN_S = 90.0


@dataclass(frozen=True, slots=True)
class Scale:
    """window_s: how long faults come. restarted: what is killed and started once more after them.

    ends_in_s: how soon then every job has to have ended.
    """

    window_s: float
    repeats: int
    max_jobs_per_client: int
    update_s: float
    restarted: Sequence[str]
    ends_in_s: float


SHORT = Scale(
    window_s=7,
    repeats=1,
    max_jobs_per_client=4,
    update_s=0.04,
    restarted=WORKERS,
    ends_in_s=60,
)
LONG = Scale(
    window_s=20,
    repeats=2,
    max_jobs_per_client=12,
    update_s=0.04,
    restarted=SERVICES,
    ends_in_s=90,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found; `text` is for a person who has to repeat it."""

    seed: int
    kind: str
    num_faults: int
    num_calls: int
    states: dict[str, int]
    seconds: float
    violations: Sequence[Violation]
    text: str


def run_chaos(seed: int, *, kind: str, scale: Scale) -> Report:
    """kind: `sqlite` or `postgres`."""
    began = time.monotonic()
    with _folder() as folder, ExitStack() as ending:
        run_database = open_database(kind, folder)
        ending.callback(run_database.stop)
        install_triggers(run_database.url)
        database = Database(run_database.url)
        ending.callback(database.close)
        api_key = ApiKeyStore(database).create(ApiKeyRequest(name="chaos", scope=Scope.WRITE))
        deployment = Deployment(folder, database_url=run_database.url, update_s=scale.update_s)
        ending.callback(deployment.orphans)
        ending.callback(deployment.stop)
        deployment.start_all()
        known = Known()
        audit = Audit(database)
        with _clients(known, deployment, seed=seed, api_key=api_key.key, scale=scale) as clients:
            faults = Faults(deployment, run_database, seed=seed, now_s=known.now_s)
            with _watchers(known, deployment, api_key=api_key.key) as watchers:
                faults.inject(window_s=scale.window_s, repeats=scale.repeats)
                run_database.end_faults()
                _stop_clients(clients)
                faults.log.append(
                    f"{known.now_s():7.3f}  {', '.join(scale.restarted)} killed and started"
                )
                ended = deployment.start_the_dead()
                _restart(deployment, scale.restarted)
                _let_everything_end(audit, JobStore(database), ends_in_s=scale.ends_in_s)
                _wait_for_watchers(watchers)
        stayed = deployment.stop()
        states = audit.num_by_state()
        evidence = Evidence(
            calls=known.calls,
            watches=[watcher.watched() for watcher in watchers],
            jobs=audit.jobs(),
            deleted=audit.deleted(),
            keys=audit.keys(),
            changes=audit.changes(),
            writes=audit.writes(),
            ended_by_themselves=ended,
            orphans=[*stayed, *deployment.orphans()],
            quota_left=_quota_left(JobStore(database), api_key.api_key.id),
        )
        violations = violations_of(evidence)
        if violations:
            _keep(folder, f"{kind}-{seed}")
        return Report(
            seed=seed,
            kind=kind,
            num_faults=len(faults.log),
            num_calls=len(known.calls),
            states=states,
            seconds=time.monotonic() - began,
            violations=violations,
            text=_told(seed, kind, evidence, violations, faults.log),
        )


def _keep(folder: Path, name: str) -> None:
    """What a person may want to see of a run that found something, where CHAOS_KEEP names a folder."""
    kept = os.environ.get(KEEP)
    if kept:
        shutil.copytree(folder, Path(kept) / name, dirs_exist_ok=True)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dgx-") as name:
        yield Path(name)


@contextmanager
def _clients(
    known: Known, deployment: Deployment, *, seed: int, api_key: str, scale: Scale
) -> Iterator[list[Client]]:
    address = deployment.address
    stop = threading.Event()
    connects = {
        f"rest-{number}": lambda: Rest(address.url, api_key=api_key)
        for number in range(NUM_REST_CLIENTS)
    } | {"grpc": lambda: Grpc(address.grpc_port, api_key=api_key)}
    clients = [
        Client(name, known, connect, seed=seed, max_jobs=scale.max_jobs_per_client, stop=stop)
        for name, connect in connects.items()
    ]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()


@contextmanager
def _watchers(known: Known, deployment: Deployment, *, api_key: str) -> Iterator[list[Watcher]]:
    """Of the first jobs that are made, each from its start."""
    watchers: list[Watcher] = []
    stop = threading.Event()

    def watch_new() -> None:
        watched: set[str] = set()
        while not stop.wait(0.1) and len(watchers) < MAX_WATCHERS:
            for job_id in [each for each in list(known.jobs) if each not in watched]:
                watched.add(job_id)
                if len(watchers) < MAX_WATCHERS:
                    watcher = Watcher(
                        f"watcher-{len(watchers)}",
                        job_id,
                        url=deployment.address.url,
                        api_key=api_key,
                        stop=stop,
                    )
                    watchers.append(watcher)
                    watcher.start()

    thread = threading.Thread(target=watch_new, daemon=True)
    thread.start()
    try:
        yield watchers
    finally:
        stop.set()


def _stop_clients(clients: Sequence[Client]) -> None:
    for client in clients:
        client.stop_asked.set()
    for client in clients:
        client.join(timeout=STOPPED_IN_S)
        if client.error is not None:
            raise client.error
        assert not client.is_alive(), f"{client.name} hangs"


def _restart(deployment: Deployment, names: Sequence[str]) -> None:
    for name in names:
        deployment.kill(name)
        deployment.start(name)
    deployment.wait_until_up()


def _let_everything_end(audit: Audit, job_store: JobStore, *, ends_in_s: float) -> None:
    """Paused jobs are resumed; what has not ended in time is left to the checker."""
    deadline = time.monotonic() + ends_in_s
    while audit.ids_in(*ACTIVE_STATES) and time.monotonic() < deadline:
        for job_id in audit.ids_in(JobState.PAUSED, JobState.PAUSING):
            with suppress(DriftgateError):
                job_store.request_resume(job_id)
        time.sleep(0.1)


def _wait_for_watchers(watchers: Sequence[Watcher]) -> None:
    deadline = time.monotonic() + 5
    for watcher in watchers:
        watcher.join(timeout=max(0.0, deadline - time.monotonic()))


def _quota_left(job_store: JobStore, key_id: str) -> list[str]:
    """What is wrong with the count of waiting jobs, now that none waits: as many are accepted as ever."""
    caller = Caller(key_id=key_id, scope=Scope.WRITE, max_queued_jobs=QUOTA)
    accepted = 0
    try:
        while accepted <= QUOTA:
            job_store.create(small_job(), warnings=(), queue="unworked", caller=caller)
            accepted += 1
    except DriftgateError as error:
        if error.code is not ErrorCode.QUOTA_EXCEEDED:
            raise
    return [] if accepted == QUOTA else [f"{accepted} jobs were accepted, {QUOTA} are allowed"]


def _told(
    seed: int, kind: str, evidence: Evidence, violations: Sequence[Violation], log: Sequence[str]
) -> str:
    """The seed, the violations, the history of the job with the shortest one, and the faults."""
    lines = [f"seed {seed} on {kind}: {len(violations)} violations", *map(str, violations)]
    histories = {
        violation.job_id: _history(evidence, violation.job_id)
        for violation in violations
        if violation.job_id is not None
    }
    if histories:
        job_id = min(histories, key=lambda each: len(histories[each]))
        lines += [f"history of job {job_id}:", *histories[job_id]]
    return "\n".join([*lines, "faults:", *log])


def _history(evidence: Evidence, job_id: str) -> list[str]:
    calls = [call for call in evidence.calls if call.job_id == job_id]
    told = [str(call) for call in calls if call.verb is not Verb.GET or call.version is not None]
    job = evidence.jobs.get(job_id)
    events = job.events if job is not None else ()
    told += [
        f"event {event.seq} attempt {event.attempt} {event.state} {event.type}: {event.message[:200]}"
        for event in events
    ]
    return told
