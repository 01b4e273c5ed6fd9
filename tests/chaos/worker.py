"""`python -m worker` with the scripted child: the one thing that it changes.

Forked from a process that has imported everything, it keeps a fork of its own from then, which its nurseries are forked
from rather than executed: they import what is imported already.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import worker.__main__ as production
from service.child_process import die_with_parent
from service.storage.job_store import Lease
from tests.chaos.fork_server import serve_forks
from tests.chaos.forked_process import ForkClient
from worker import nursery, nursery_keeper
from worker.process_title import set_process_title
from worker.supervisor import Supervisor, execute_arguments

CHILD = "tests.chaos.scripted_child"
MODULES = (CHILD,)


def scripted_command(lease: Lease, attempt_dir: Path) -> Sequence[str]:
    return (sys.executable, "-P", "-m", CHILD, *execute_arguments(lease, attempt_dir))


class ForkedNursery:
    """Has what `NurseryKeeper` asks of a `ChildProcess`."""

    def __init__(
        self,
        source: ForkClient,
        command: Sequence[str],
        *,
        log_path: None,
        environment: Mapping[str, str],
        descriptors: Sequence[int],
    ) -> None:
        self._process = source.fork({"environment": dict(environment)}, descriptors=descriptors)
        self.pid = self._process.pid

    def wait(self) -> int:
        """Its exit status is not known; that of an end that nobody asked for is what it most likely was."""
        self._process.wait()
        return -9


def main() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    worker_pid = os.getpid()
    if os.fork() == 0:
        ours.close()
        die_with_parent(worker_pid)
        sys.exit(_nurse(theirs))
    theirs.close()
    nursery_keeper.ChildProcess = partial(ForkedNursery, ForkClient(ours))
    production.Supervisor = partial(Supervisor, child_command=scripted_command)
    production.NurseryKeeper = partial(nursery_keeper.NurseryKeeper, modules=MODULES)
    production.main()


def _nurse(requests: socket.socket) -> int:
    forked = serve_forks(requests)
    if forked is None:
        return 0
    request, (descriptor,) = forked
    set_process_title([sys.executable, "-m", "worker.nursery"])
    os.environ.update(request["environment"])
    return nursery._main(descriptor, MODULES)


if __name__ == "__main__":
    main()
