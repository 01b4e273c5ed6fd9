"""A child process that cannot outlive its parent and takes what it started with it.

Run as a module, this file is the launcher: it asks the kernel for SIGKILL when the parent ends, checks
that the parent is still there, and becomes the command. The request survives exec, so any program can
be launched. It is tied to the parent's *thread*: start children from a thread that outlives them.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class ChildProcess:
    """A running command in a session of its own; stdout and stderr are appended to `log_path`.

    Without a log it prints where this process does. descriptors: open ones of this process that it inherits.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log_path: Path | None,
        environment: Mapping[str, str],
        descriptors: Sequence[int] = (),
    ) -> None:
        # -P: a folder called `service` where the user stands must not shadow this package.
        launcher = [sys.executable, "-P", "-m", "service.child_process", str(os.getpid()), *command]
        with _appending(log_path) as log:
            self._process = subprocess.Popen(  # noqa: S603 the caller's own command, no shell
                launcher,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=None if log is None else subprocess.STDOUT,
                env={**os.environ, **environment},
                pass_fds=descriptors,
                start_new_session=True,
            )
        self._pidfd = os.pidfd_open(self._process.pid)
        self.log_path = log_path

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, *, timeout_s: float | None = None) -> int | None:
        """The exit status, negative for a signal, once the child has been reaped; None before.

        Processes that the child left behind in its group are killed before it is reaped, while its
        process id still cannot belong to anyone else.
        """
        if self._process.returncode is None:
            ended = select.poll()
            ended.register(self._pidfd, select.POLLIN)
            if not ended.poll(None if timeout_s is None else timeout_s * 1000):
                return None
            self._reap()
        return self._process.returncode

    def ask_to_stop(self) -> None:
        """SIGTERM to the child alone; what it started is its own to stop."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)

    def kill(self) -> int:
        """Kills the child and its group, and reaps it; the exit status. Nothing when it has ended."""
        if self._process.returncode is None:
            self._reap()
        status: int = self._process.returncode
        return status

    def _reap(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._pidfd)


def describe_exit(status: int) -> str:
    """How a process ended, for a person."""
    if status == -signal.SIGKILL:
        return (
            "was killed (SIGKILL: the kernel's out-of-memory killer or an operator; "
            "nothing in Driftgate sent it)"
        )
    if status < 0:
        return f"ended on signal {signal.Signals(-status).name}"
    return f"ended with status {status}"


def last_lines(log_path: Path, *, num_lines: int = 8, max_bytes: int = 4000) -> str:
    """The end of a log, at most so many lines and bytes; empty where there is none."""
    try:
        with log_path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - max_bytes))
            tail = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(tail.splitlines()[-num_lines:])


def die_with_parent(parent_pid: int) -> None:
    """From here on the kernel kills this process when the thread of the parent that started it ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended between the fork and the request above.
    if os.getppid() != parent_pid:
        sys.exit(f"parent {parent_pid} has ended")


def take_in_orphans() -> None:
    """Descendants whose parent ends become children of this process, and not of init."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(option, argument, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option}) was refused")


@contextmanager
def _appending(log_path: Path | None) -> Iterator[IO[bytes] | None]:
    if log_path is None:
        yield None
        return
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        yield log


def _become(parent_pid: int, command: Sequence[str]) -> None:
    die_with_parent(parent_pid)
    os.execvp(command[0], list(command))  # noqa: S606 no shell wanted


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
