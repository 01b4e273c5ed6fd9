"""Starts of services that cost milliseconds: a process that has imported what all of them need, and its forks.

`python -m tests.chaos.prepared_services FD` is that process. It ends, and every service with it, when the other end of FD
is closed, as the kernel does when this process is killed.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.chaos.fork_server import Request, serve_forks
from tests.chaos.forked_process import ForkClient, ForkedProcess
from tests.chaos.shown_environment import ENVIRONMENT, show_in_environment

# All that a service imports before it serves. Nothing of it starts a thread or connects to anything.
MODULES = (
    "service.cli",
    "service.rest.server",
    "service.rpc.server",
    "service.reconciler",
    "worker.__main__",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "kombu.transport.redis",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.httptools_impl",
    "worker.nursery",
)
# OpenBLAS would start threads of its own, and a process title is written over the one that is there.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TITLE_LENGTH = 600


def prepared_services() -> "PreparedServices":
    """The one of this process, ready from the first request on."""
    with _one_at_a_time:
        return _the_only()


class PreparedServices:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            descriptor = str(theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, descriptor.ljust(TITLE_LENGTH)],
                env=os.environ | THREADS | ENVIRONMENT | {"PYTHONFAULTHANDLER": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._client = ForkClient(ours)

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        shown: Sequence[str],
        folder: Path,
        log_path: Path,
    ) -> ForkedProcess:
        """command: the name of a module whose `main` is called with the rest as arguments, or the path of a program.

        shown: the variables that /proc/PID/environ shows of the process; all of them where it is executed.
        """
        request: Request = {
            "command": command,
            "environment": dict(environment),
            "shown": shown,
            "folder": str(folder),
        }
        with log_path.open("ab") as log:
            return self._client.fork(request, descriptors=[log.fileno()])


# A cache alone makes two where two threads come at once.
_the_only = cache(PreparedServices)
_one_at_a_time = threading.Lock()


def _main(descriptor: int) -> None:
    for name in MODULES:
        import_module(name)
    forked = serve_forks(socket.socket(fileno=descriptor))
    if forked is not None:
        request, (log,) = forked
        _become(request, log)


def _become(request: Request, log: int) -> None:
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    show_in_environment({name: os.environ[name] for name in request["shown"]})
    program, *arguments = request["command"]
    if "/" in program:
        os.execv(program, [program, *arguments])
    sys.modules["numpy.random"].seed()  # `random` seeds itself anew after a fork
    sys.modules["worker.process_title"].set_process_title(
        [sys.executable, "-m", program, *arguments]
    )
    sys.argv = [program, *arguments]
    import_module(program).main()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
