"""Keeps a nursery running beside the worker, and asks it for children."""

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from service.child_process import ChildProcess, describe_exit
from worker.attempt_process import AttemptProcess

logger = logging.getLogger(__name__)

BACKOFF_S = 1.0
MAX_EARLY_DEATHS = 4
# A nursery that lived this long had started well.
STABLE_AFTER_S = 60.0
# Of the nursery's command line, in bytes: a child writes its own over it for `ps`.
TITLE_LENGTH = 400

MODULES = ("worker.execute", "worker.late_imports")
# Beside OMP_NUM_THREADS: OpenBLAS would start its threads when it is imported, and a look for CUDA
# devices would initialise the driver; a fork may follow neither.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}


class NurseryKeeper:
    """Starts the nursery from a thread that lives as long as this process, and again when it has died.

    modules: imported there; `main` of the first one, called with a child's arguments, is the child.
    """

    def __init__(self, *, environment: Mapping[str, str], modules: Sequence[str] = MODULES) -> None:
        self._modules = modules
        self._environment = {**environment, **ENVIRONMENT}
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="nursery", daemon=True)
        self.pid: int | None = None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """The nursery ends; children that it started stay."""
        self._closing.set()
        with self._lock:
            if self._requests is not None:
                with suppress(OSError):  # it has just died
                    self._requests.shutdown(socket.SHUT_RDWR)

    def start_attempt(self, arguments: Sequence[str], *, log_path: Path) -> AttemptProcess | None:
        """A child with these arguments of `worker.execute`, as soon as the nursery is ready; None where there is none.

        The child never starts where the nursery dies before; then it can be started without.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log_path.open("ab") as log, self._lock:
            if self._requests is not None:
                message = json.dumps(arguments).encode()
                descriptors = [theirs.fileno(), log.fileno()]
                try:
                    socket.send_fds(self._requests, [message], descriptors, socket.MSG_DONTWAIT)
                except OSError as error:
                    logger.warning("the nursery takes no request: %s", error)
                else:
                    return AttemptProcess(ours)
        ours.close()
        return None

    def _keep(self) -> None:
        num_early_deaths = 0
        while not self._closing.is_set():
            started_at = time.monotonic()
            try:
                self._run_one()
            except OSError as error:
                logger.warning("the nursery cannot be started: %s", error)
            if time.monotonic() - started_at > STABLE_AFTER_S:
                num_early_deaths = 0
            num_early_deaths += 1
            if num_early_deaths == MAX_EARLY_DEATHS:
                # What it dies of is not going away, and each try costs its imports.
                logger.error("the nursery is given up; every job starts without")
                return
            self._closing.wait(BACKOFF_S * num_early_deaths)

    def _run_one(self) -> None:
        """A nursery from its start to its end."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                modules = " ".join(self._modules).ljust(TITLE_LENGTH)
                descriptor = theirs.fileno()
                nursery = ChildProcess(
                    (sys.executable, "-P", "-m", "worker.nursery", str(descriptor), modules),
                    log_path=None,
                    environment=self._environment,
                    descriptors=[descriptor],
                )
            with self._lock:
                self._requests, self.pid = ours, nursery.pid
            exit_status = nursery.wait()
            with self._lock:
                self._requests = self.pid = None
        assert exit_status is not None
        if not self._closing.is_set():
            logger.warning("the nursery %s; jobs start slower", describe_exit(exit_status))
