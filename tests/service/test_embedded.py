import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.processes import is_alive


class Up:
    """`driftgate up` as a process of its own, with ports and a data folder of its own."""

    def __init__(self, data_dir: Path, *, has_nursery: bool) -> None:
        self._has_nursery = has_nursery
        self.data_dir = data_dir
        self.http_port, self.grpc_port = _two_unused_ports()
        self.output_path = data_dir.parent / "up.out"
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Also a second one on the same folder and ports."""
        environment = {
            **os.environ,
            "DRIFTGATE_DATA_DIR": str(self.data_dir),
            "DRIFTGATE_HTTP_PORT": str(self.http_port),
            "DRIFTGATE_GRPC_PORT": str(self.grpc_port),
            "DRIFTGATE_STOP_GRACE_S": "5",
            "DRIFTGATE_NURSERY": str(self._has_nursery),
            "OMP_NUM_THREADS": "1",
        }
        with self.output_path.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "service.cli", "up"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        return self.output_path.read_text()

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.output()
        return f"Driftgate is up: http://127.0.0.1:{self.http_port}/" in self.output()

    def log(self, name: str) -> str:
        return (self.data_dir / "logs" / f"{name}.log").read_text()

    def members(self) -> dict[str, int]:
        """The living processes of the tree: those that write to its logs, by name."""
        logs = self.data_dir / "logs"
        written = {int(path.parts[2]): _target(path) for path in Path("/proc").glob("[0-9]*/fd/1")}
        return {
            log.stem: pid
            for pid, log in written.items()
            if log.is_relative_to(logs) and is_alive(pid)
        }

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/healthz") as answer:
                return answer.status == 200
        except OSError:
            return False


@pytest.fixture
def start_up() -> Iterator[Callable[..., Up]]:
    started = []

    def start(data_dir: Path, *, has_nursery: bool) -> Up:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        started.append(Up(data_dir, has_nursery=has_nursery))
        return started[-1]

    yield start
    for up in started:
        up.process.kill()
        up.process.wait()
        shutil.rmtree(
            Settings(data_dir=up.data_dir).broker_socket_path().parent, ignore_errors=True
        )


def test_up_serves_and_leaves_nothing_behind_when_it_is_told_to_stop(
    start_up, tmp_path: Path, wait_until
) -> None:
    up = start_up(tmp_path / "with space" / "var", has_nursery=True)
    wait_until(up.is_up)
    assert up.members().keys() == {"broker", "api", "grpc", "reconciler", "worker"}
    wait_until(lambda: _listens(up.grpc_port))
    wait_until(lambda: "ready." in up.log("worker"))

    second = up.start()
    assert second.wait(timeout=90) == 1
    assert f"already up on {up.data_dir} (process {up.process.pid})" in up.output()

    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=90) == 0
    assert up.members() == {}


def test_up_restarts_what_dies_and_nothing_survives_its_own_kill(
    start_up, tmp_path: Path, wait_until
) -> None:
    # Longer than a socket's address may be. Without a nursery, which would only cost the test its time.
    up = start_up(tmp_path / ("long" * 30) / "var", has_nursery=False)
    wait_until(up.is_up)
    wait_until(lambda: "ready." in up.log("worker"))

    os.kill(up.members()["api"], signal.SIGKILL)
    wait_until(lambda: "api was killed" in up.output())
    wait_until(up.answers)

    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    wait_until(lambda: up.members() == {})


def test_up_refuses_a_port_that_is_taken(start_up, tmp_path: Path, unused_port: int) -> None:
    with socket.create_server(("127.0.0.1", unused_port)):
        refused = subprocess.run(
            [sys.executable, "-m", "service.cli", "up"],
            env={
                **os.environ,
                "DRIFTGATE_DATA_DIR": str(tmp_path / "var"),
                "DRIFTGATE_HTTP_PORT": str(unused_port),
            },
            capture_output=True,
            check=False,
            text=True,
            timeout=90,
        )

    assert refused.returncode == 1
    assert f"127.0.0.1:{unused_port} cannot be used (Address already in use)" in refused.stderr


def _two_unused_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except OSError:
        return Path()
