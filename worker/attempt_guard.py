"""The process between a supervisor and an attempt's child: nothing that the attempt starts outlives it.

The guard is the child's parent and the kernel's choice of a parent for everything that the child leaves behind
(PR_SET_CHILD_SUBREAPER), in whatever session or process group it put itself, as the ranks of torchrun do. It
ends all of it when the child ends, when it is told to, and when the supervisor has ended, which it sees by
the end of their socket. The child asks the kernel to be killed with its guard.

Run as a module, `python -m worker.attempt_guard FD`, it starts any program in the child's place: the command is the
first message on FD, because on the guard's own command line it would pass for the child's.

Messages on the socket (AF_UNIX, SOCK_SEQPACKET): the guard sends STARTED with the child's pid and a pidfd of it, and
ENDED with the exit status once nothing is left; the supervisor sends STOP, and closes its end to kill.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from service.child_process import die_with_parent, take_in_orphans

MESSAGE = struct.Struct("=ci")  # the kind, and a pid or an exit status
STARTED = b"S"
ENDED = b"E"
STOP = b"T"
MAX_COMMAND_BYTES = 65_536

# To the kernel the training is the first to end for lack of memory, and not its guard or the worker.
CHILD_OOM_SCORE = 500


def fork_guarded(control: socket.socket) -> None:
    """Returns in a new child, in a session of its own. The calling process guards it and never returns.

    control: this end of the socket; closed in the child. The caller has one thread.
    """
    # A service manager that stops all processes at once signals the guard too: it has to stay until the end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    take_in_orphans()
    if _is_closed(control):
        os._exit(0)
    guard_pid = os.getpid()
    # What comes before the child no longer ignores it waits, and is not lost: a stop may have been asked for by now.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    child_pid = os.fork()
    if child_pid == 0:
        control.close()
        os.setsid()
        die_with_parent(guard_pid)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(CHILD_OOM_SCORE))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        return
    try:
        exit_status = _guard(child_pid, control)
        with suppress(OSError):  # nobody is left to be told
            control.send(MESSAGE.pack(ENDED, exit_status))
    except BaseException:  # noqa: BLE001 nothing may return into what the caller does as the child
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def end_children(*, but: Collection[int] = ()) -> None:
    """Kills and reaps the other children of this process, and theirs as they become its own, until none is left."""
    while strays := [pid for pid in _children_of(os.getpid()) if pid not in but]:
        for pid in strays:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _guard(child_pid: int, control: socket.socket) -> int:
    """The child's exit status, once it and everything that it started has ended."""
    child = os.pidfd_open(child_pid)
    try:
        socket.send_fds(control, [MESSAGE.pack(STARTED, child_pid)], [child])
        _wait_for_the_end(child, control)
    except OSError:
        pass  # the supervisor has gone
    # While the child is not reaped its process id, and its group's, cannot belong to anyone else.
    with suppress(ProcessLookupError):
        os.killpg(child_pid, signal.SIGKILL)
    # The child may have been killed between fork and setsid.
    with suppress(ProcessLookupError):
        os.kill(child_pid, signal.SIGKILL)
    _, wait_status = os.waitpid(child_pid, 0)
    if _has_children():
        end_children()
    return os.waitstatus_to_exitcode(wait_status)


def _wait_for_the_end(child: int, control: socket.socket) -> None:
    """Returns when the child has ended or is to be killed; passes on what it is asked."""
    events = select.poll()
    events.register(child, select.POLLIN)
    events.register(control, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in events.poll()]
        if child in ready:
            return
        if control.recv(MESSAGE.size) != STOP:
            return
        signal.pidfd_send_signal(child, signal.SIGTERM)


def _is_closed(control: socket.socket) -> bool:
    try:
        return not control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _children_of(parent_pid: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                # The name in parentheses may hold spaces; the parent is the second field after it.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent_pid:
                    yield int(folder.name)


def _main(descriptor: int) -> None:
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    message = control.recv(MAX_COMMAND_BYTES)
    if not message:
        return  # killed before it began
    command = json.loads(message)
    fork_guarded(control)
    os.execvp(command[0], command)  # noqa: S606 no shell wanted


if __name__ == "__main__":
    _main(int(sys.argv[1]))
