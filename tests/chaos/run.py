"""One run: a deployment, clients and watchers, faults from a seed, then an end, and what must be true of it."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from service.errors import DriftgateError, ErrorCode
from service.jobs.access import Caller, Scope
from service.jobs.api_keys import ApiKeyRequest
from service.jobs.state import TERMINAL_STATES, JobState
from service.jobs.webhooks import WebhookSpec
from service.storage.api_key_store import ApiKeyStore
from service.storage.invariants import find_violations
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.storage.study_invariants import find_study_violations
from service.storage.webhook_store import WebhookStore
from tests.chaos.audit import Audit, install_triggers
from tests.chaos.clients import Client, Known
from tests.chaos.databases import MEMORY, open_database
from tests.chaos.deployment import RECONCILERS, Deployment
from tests.chaos.faults import Faults
from tests.chaos.history import Evidence
from tests.chaos.invariants import violations_of
from tests.chaos.report import Report, told
from tests.chaos.scales import Scale
from tests.chaos.transports import Grpc, Rest
from tests.chaos.watchers import GrpcStream, RestStream, Watcher
from tests.chaos.webhook_receiver import WebhookReceiver
from tests.worker.small_jobs import small_job

ACTIVE_STATES = tuple(state for state in JobState if state not in TERMINAL_STATES)
NUM_REST_CLIENTS = 3
MAX_WATCHERS = 6
QUOTA = 2
KEEP = "CHAOS_KEEP"
# In a reconciler's log, where its audit of the hour found something.
BROKEN = "breaks an invariant"
# Limits only, for machines that have other things to do.
CLIENTS_STOP_IN_S = 120.0
JOBS_END_IN_S = 180.0
TOLD_IN_S = 60.0


def run_chaos(seed: int, *, kind: str, scale: Scale) -> Report:
    """kind: `sqlite` or `postgres`."""
    with _folder(f"{kind}-{seed}") as folder, ExitStack() as ending:
        began = time.monotonic()
        run_database = open_database(kind, folder)
        ending.callback(run_database.stop)
        install_triggers(run_database.url)
        database = Database(run_database.url)
        ending.callback(database.close)
        api_key = ApiKeyStore(database).create(ApiKeyRequest(name="chaos", scope=Scope.WRITE))
        receiver = ending.enter_context(closing(WebhookReceiver()))
        receiver.secret = WebhookStore(database).create(WebhookSpec(url=receiver.url)).secret
        deployment = Deployment(folder, database_url=run_database.url, update_s=scale.update_s)
        ending.callback(deployment.orphans)
        ending.callback(deployment.stop)
        deployment.start_all()
        known = Known()
        audit = Audit(database)
        with _clients(known, deployment, seed=seed, api_key=api_key.key, scale=scale) as clients:
            faults = Faults(deployment, run_database, receiver, seed=seed, now_s=known.now_s)
            with _watchers(known, deployment, api_key=api_key.key) as watchers:
                faults.inject(window_s=scale.window_s)
                run_database.end_faults()
                ended = deployment.start_the_dead()
                unanswered = _stop_clients(clients)
                faults.log.append(
                    f"{known.now_s():7.3f}  {', '.join(scale.restarted)} killed and started"
                )
                _restart(deployment, scale.restarted)
                _let_everything_end(audit, JobStore(database))
                _wait_for_watchers(watchers)
                _wait(lambda: not audit.undelivered(), TOLD_IN_S)
        stayed = deployment.stop()
        states = audit.num_by_state()
        undelivered = audit.undelivered()
        audited = [*deployment.lines_logged(BROKEN, RECONCILERS), *_audited(database)]
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
            audited=audited,
            quota_left=_quota_left(JobStore(database), api_key.api_key.id),
            unanswered=unanswered,
            notices=receiver.notices,
            undelivered=undelivered,
            forgeries=receiver.forgeries,
        )
        violations = violations_of(evidence)
        text = told(seed, kind, evidence, violations, faults.log)
        if violations:
            (folder / "report.txt").write_text(text)
            _keep(folder, f"{kind}-{seed}")
        return Report(
            seed=seed,
            kind=kind,
            num_faults=len(faults.log),
            num_calls=len(known.calls),
            num_notices=len(receiver.notices),
            states=states,
            seconds=time.monotonic() - began,
            violations=violations,
            text=text,
        )


def _keep(folder: Path, name: str) -> None:
    """What a person may want to see of a run that found something, where CHAOS_KEEP names a folder."""
    kept = os.environ.get(KEEP)
    if kept:
        shutil.copytree(folder, Path(kept) / name, dirs_exist_ok=True)


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix="dgx-", dir=MEMORY if MEMORY.is_dir() else None
    ) as folder:
        try:
            yield Path(folder)
        except BaseException:
            _keep(Path(folder), name)
            raise


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
    """Of the first jobs that are made, each from its start, by REST and by gRPC in turn."""
    address = deployment.address
    streams = (
        RestStream(address.url, api_key=api_key),
        GrpcStream(address.grpc_port, api_key=api_key),
    )
    watchers: list[Watcher] = []
    stop = threading.Event()

    def watch_new() -> None:
        while not stop.wait(0.1) and len(watchers) < MAX_WATCHERS:
            for job_id in list(known.jobs)[len(watchers) : MAX_WATCHERS]:
                number = len(watchers)
                stream = streams[number % len(streams)]
                watchers.append(Watcher(f"watcher-{number}", job_id, stream, stop=stop))
                watchers[-1].start()

    thread = threading.Thread(target=watch_new, daemon=True)
    thread.start()
    try:
        yield watchers
    finally:
        stop.set()


def _stop_clients(clients: Sequence[Client]) -> list[str]:
    """Those who still wait for an answer, though nothing fails any more."""
    deadline = time.monotonic() + CLIENTS_STOP_IN_S
    for client in clients:
        client.stop_asked.set()
    for client in clients:
        client.join(timeout=max(0.0, deadline - time.monotonic()))
        if client.error is not None:
            raise client.error
    return [f"{each.name} after {each.last_call}" for each in clients if each.is_alive()]


def _restart(deployment: Deployment, names: Sequence[str]) -> None:
    for name in names:
        deployment.kill(name)
        deployment.start(name)
    deployment.wait_until_up()


def _let_everything_end(audit: Audit, job_store: JobStore) -> None:
    """Paused jobs are resumed; what has not ended in time is left to the checker."""

    def has_ended() -> bool:
        for job_id in audit.ids_in(JobState.PAUSED, JobState.PAUSING):
            with suppress(DriftgateError):
                job_store.request_resume(job_id)
        return not audit.ids_in(*ACTIVE_STATES)

    _wait(has_ended, JOBS_END_IN_S)


def _wait_for_watchers(watchers: Sequence[Watcher]) -> None:
    _wait(lambda: not any(watcher.is_alive() for watcher in watchers), TOLD_IN_S)


def _wait(is_done: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.2)


def _audited(database: Database) -> list[str]:
    """What the service's own audit finds in the end."""
    return [
        *(f"{found.invariant} of job {found.job_id}" for found in find_violations(database)),
        *(
            f"{found.invariant} of study {found.study_id}"
            for found in find_study_violations(database)
        ),
    ]


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
