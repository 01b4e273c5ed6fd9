"""A process that has imported all that an attempt needs, and from which their children are forked.

Its imports take seconds, which every job would otherwise wait for. It has one thread and has touched no device, so a
fork of it is as good as a new process: CUDA is initialised in the child, and random state is that of a fresh start.

`python -m worker.nursery FD MODULE…` imports the modules, serves requests, and ends when the other end of FD is
closed. A request is a message with arguments for `main` of the first module, and two descriptors: the guard's end of
the supervisor's socket, and the log.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from service.child_process import take_in_orphans
from worker.attempt_guard import end_children, fork_guarded
from worker.process_title import set_process_title

MAX_REQUEST_BYTES = 65_536
CUDA_NOT_INITIALISED = 3


def nurse(requests: socket.socket) -> Sequence[str] | None:
    """Serves requests. In a child that was forked: the arguments of its attempt; in the nursery None, at the end."""
    _refuse_what_a_fork_would_break()
    # What guards leave behind when they are killed comes here.
    take_in_orphans()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it looks at
    guards: dict[int, int] = {}  # pids by pidfd
    events = select.poll()
    events.register(requests, select.POLLIN)
    while True:
        for descriptor, _ in events.poll():
            if descriptor in guards:
                events.unregister(descriptor)
                _bury(descriptor, guards)
                continue
            message, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 2)
            if not message:
                return None
            guard_pid = os.fork()
            if guard_pid == 0:
                _close([requests.detach(), *guards])
                return _become_child(json.loads(message), *descriptors)
            _close(descriptors)
            guard = os.pidfd_open(guard_pid)
            guards[guard] = guard_pid
            events.register(guard, select.POLLIN)


def _become_child(arguments: Sequence[str], control: int, log: int) -> Sequence[str]:
    """In the guard, which stays here, and in the child, where it returns the arguments."""
    os.setsid()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    fork_guarded(socket.socket(fileno=control))
    return arguments


def _bury(descriptor: int, guards: dict[int, int]) -> None:
    """Reaps a guard that has ended, and ends what it left where it was killed."""
    guard_pid = guards.pop(descriptor)
    os.close(descriptor)
    _, status = os.waitpid(guard_pid, 0)
    if status != 0:
        end_children(but=guards.values())


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _refuse_what_a_fork_would_break() -> None:
    """Threads do not survive a fork, and a device that was touched before is of no use after it."""
    num_threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if num_threads > 1:
        sys.exit(
            f"The imports started {num_threads - 1} threads: children are started, not forked."
        )
    if "libcuda.so" in Path("/proc/self/maps").read_text():
        context = ctypes.c_void_p()
        status = ctypes.CDLL("libcuda.so.1").cuCtxGetCurrent(ctypes.byref(context))
        if status != CUDA_NOT_INITIALISED:
            sys.exit("The imports initialised CUDA: children are started, not forked.")


def _main(descriptor: int, modules: Sequence[str]) -> int:
    # It ends with its worker, and not before: the worker may drain for as long as its jobs take to save.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    program, *_ = [importlib.import_module(name) for name in modules]
    arguments = nurse(socket.socket(fileno=descriptor))
    if arguments is None:
        return 0
    # `random` seeds itself anew after a fork; torch starts with the same seed in every process.
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    set_process_title([sys.executable, "-m", program.__name__, *arguments])
    exit_status: int = program.main(arguments)
    return exit_status


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), sys.argv[2].split()))
