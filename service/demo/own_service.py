"""A service of its own for a command that brings its jobs along: free ports, a folder, nothing left running."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from service.child_process import ChildProcess, describe_exit, last_lines

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 90.0


class ServiceEndedError(Exception):
    """The service did not start, or has ended; the message holds the end of its log."""


class OwnService:
    """The embedded service as a process; its log tells why it ended, if it did."""

    def __init__(self, data_dir: Path, *, log_name: str, num_slots: int) -> None:
        http_port, grpc_port = _free_ports(2)
        self.url = f"http://127.0.0.1:{http_port}"
        self.log_path = data_dir / "logs" / log_name
        self._process = ChildProcess(
            [sys.executable, "-P", "-m", "service.cli", "up"],
            log_path=self.log_path,
            environment={
                "DRIFTGATE_DATA_DIR": str(data_dir),
                "DRIFTGATE_HTTP_HOST": "127.0.0.1",
                "DRIFTGATE_HTTP_PORT": str(http_port),
                "DRIFTGATE_GRPC_HOST": "127.0.0.1",
                "DRIFTGATE_GRPC_PORT": str(grpc_port),
                "DRIFTGATE_WORKER_SLOTS": str(num_slots),
                "DRIFTGATE_THREADS_PER_JOB": "1",
                "DRIFTGATE_POLL_INTERVAL_S": "1",
            },
        )

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check_alive()
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/healthz", trust_env=False).is_success:
                    return
            time.sleep(0.2)
        raise ServiceEndedError(f"The service did not start. Its log: {self.log_path}")

    def check_alive(self) -> None:
        """Raises ServiceEndedError with the end of its log when the service has ended."""
        status = self._process.wait(timeout_s=0)
        if status is not None:
            raise ServiceEndedError(
                f"The service {describe_exit(status)}. The end of {self.log_path}:\n"
                f"{last_lines(self.log_path)}"
            )

    def wait(self) -> None:
        self._process.wait()

    def stop(self) -> None:
        self._process.ask_to_stop()
        if self._process.wait(timeout_s=STOP_TIMEOUT_S) is None:
            self._process.kill()


@contextmanager
def own_service(
    data_dir: Path, *, log_name: str = "demo.log", num_slots: int = 2
) -> Iterator[OwnService]:
    """The service on slots of one thread each, answering; stopped at the end. Raises ServiceEndedError."""
    service = OwnService(data_dir, log_name=log_name, num_slots=num_slots)
    try:
        service.wait_until_healthy()
        yield service
    finally:
        service.stop()


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; `up` refuses one that has been taken since."""
    with_ports = [socket.socket() for _ in range(count)]
    try:
        for probe in with_ports:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in with_ports]
    finally:
        for probe in with_ports:
            probe.close()
