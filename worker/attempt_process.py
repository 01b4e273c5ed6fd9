"""The supervisor's hold on an attempt's child, by way of its guard."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from worker.attempt_guard import ENDED, MESSAGE, STARTED, STOP


class NeverStartedError(Exception):
    """What was to start the child ended before it did."""


class AttemptProcess:
    """A child that a guard runs, or is about to. Ends with this process, whichever way that ends.

    control: the supervisor's end of the socket; see `worker.attempt_guard`. guard: where this process started it.
    """

    def __init__(
        self, control: socket.socket, *, guard: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._control = control
        self._guard = guard
        self._child: int | None = None
        self._exit_status: int | None = None
        self.pid: int | None = None
        self.guard_was_lost = False

    def wait(self, *, timeout_s: float | None = None) -> int | None:
        """The exit status, negative for a signal, once nothing of the attempt is left; None before.

        Raises NeverStartedError.
        """
        if self._exit_status is not None:
            return self._exit_status
        events = select.poll()
        events.register(self._control, select.POLLIN)
        if events.poll(None if timeout_s is None else timeout_s * 1000):
            self._receive()
        return self._exit_status

    def ask_to_stop(self) -> None:
        """SIGTERM to the child alone, once it has started; what it started is its own to stop."""
        with suppress(OSError):
            self._control.send(STOP)

    def kill(self) -> int | None:
        """Ends the child and everything that it started; its exit status, None where it never started."""
        if self._control.fileno() == -1:
            return self._exit_status
        with suppress(NeverStartedError):
            self.wait(timeout_s=0)
            if self.pid is None:
                self._close(exit_status=None)  # the guard sees it before it starts a child
                return None
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)
            while self._exit_status is None:
                self.wait()
        return self._exit_status

    def _receive(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE.size, 1)
        except ConnectionResetError:  # the other end was closed with something unread
            message, descriptors = b"", []
        if not message:
            self._end_without_guard()
            return
        kind, number = MESSAGE.unpack(message)
        if kind == STARTED:
            self.pid = number
            (self._child,) = descriptors
        else:
            assert kind == ENDED
            self._close(exit_status=number)

    def _end_without_guard(self) -> None:
        if self._child is None or self.pid is None:
            self._close(exit_status=None)
            raise NeverStartedError
        self.guard_was_lost = True
        # The kernel kills the child with its guard. What it started is in its group, or was left to whoever
        # started the guard.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        ended = select.poll()
        ended.register(self._child, select.POLLIN)
        ended.poll()
        self._close(exit_status=-signal.SIGKILL)

    def _close(self, *, exit_status: int | None) -> None:
        self._exit_status = exit_status
        self._control.close()
        if self._child is not None:
            os.close(self._child)
        if self._guard is not None:
            self._guard.wait()


def spawn(
    command: Sequence[str], *, log_path: Path, environment: Mapping[str, str]
) -> AttemptProcess:
    """The command in a guard of its own; what it prints is appended to the log."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs, log_path.open("ab") as log:
            ours.send(json.dumps(command).encode())
            guard = subprocess.Popen(  # noqa: S603 the caller's own command, no shell
                # -P: a folder called `worker` where the user stands must not shadow this package.
                (sys.executable, "-P", "-m", "worker.attempt_guard", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
    except OSError:
        ours.close()
        raise
    return AttemptProcess(ours, guard=guard)
