"""The asking end of `tests.chaos.fork_server`, and a hold on the processes that were forked there."""

import json
import os
import select
import signal
import socket
import threading
from collections.abc import Sequence


class ForkedProcess:
    """Is nobody's child here: its parent, the fork server, reaps it, and its exit status is not known."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd

    def __del__(self) -> None:
        os.close(self._pidfd)

    def wait(self, *, timeout_s: float | None = None) -> bool:
        """Whether it has ended, at the latest after so long."""
        ended = select.poll()
        ended.register(self._pidfd, select.POLLIN)
        return bool(ended.poll(None if timeout_s is None else timeout_s * 1000))

    def send_signal(self, number: int) -> None:
        if not self.wait(timeout_s=0):
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Returns when it has ended."""
        self.send_signal(signal.SIGKILL)
        self.wait()


class ForkClient:
    """Asks for forks, from any thread."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._lock = threading.Lock()

    def fork(self, request: dict[str, object], *, descriptors: Sequence[int]) -> ForkedProcess:
        with self._lock:
            socket.send_fds(self._requests, [json.dumps(request).encode()], descriptors)
            message, (pidfd,), _, _ = socket.recv_fds(self._requests, 64, 1)
        return ForkedProcess(int(message), pidfd)
