"""Holds one job: starts the child that trains it, keeps the lease, and writes how it ended."""

import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import TypeVar

from service.errors import DriftgateError, ErrorCode
from service.jobs.results import Failure
from service.jobs.spec import num_devices_of
from service.jobs.state import JobState
from service.storage.job_store import Claim, JobStore, Lease, Orders
from worker.attempt_end import LOG_FILE, ExitStatus, read_failure
from worker.attempt_process import AttemptProcess, NeverStartedError, spawn
from worker.database_outage import outlast_outage
from worker.exit_causes import cause_of_death, out_of_memory_kills
from worker.nursery_keeper import NurseryKeeper
from worker.scratch import remove_scratch

logger = logging.getLogger(__name__)

# How soon a drain is noticed; a child's end is noticed at once.
WATCH_INTERVAL_S = 0.2
# Where torchrun keeps what it needs; see worker.scratch.
RANKS_FOLDER = ".ranks"
# By the signal where it came before the child could handle it.
STOPPED_STATUSES = (ExitStatus.STOPPED, -signal.SIGTERM)


Result = TypeVar("Result")


def execute_command(lease: Lease, attempt_dir: Path) -> Sequence[str]:
    """The command that runs one attempt in its folder."""
    arguments = execute_arguments(lease, attempt_dir)
    return (sys.executable, "-P", "-m", "worker.execute", *arguments)


def execute_arguments(lease: Lease, attempt_dir: Path) -> Sequence[str]:
    return (
        *("--job", lease.job_id),
        *("--epoch", str(lease.epoch)),
        *("--owner", lease.owner),
        *("--attempt-dir", str(attempt_dir)),
    )


def ranks_command(lease: Lease, attempt_dir: Path, *, num_ranks: int) -> Sequence[str]:
    """The command that runs one attempt as several processes, one for each device."""
    logs = str(attempt_dir / RANKS_FOLDER)
    arguments = execute_arguments(lease, attempt_dir)
    launcher = (sys.executable, "-P", "-m", "worker.ranks", str(num_ranks), logs)
    return (*launcher, "worker.execute", *arguments)


class _CancelledError(Exception):
    """A client asked for the job's end."""


class _Asked(Enum):
    """Why the child was asked to stop; the last word counts."""

    NOT = auto()
    TO_PAUSE = auto()
    TO_DRAIN = auto()
    AT_DEADLINE = auto()


@dataclass(frozen=True, slots=True)
class _Start:
    """What is to be run: so many ranks on these devices, or on all where none is named."""

    lease: Lease
    attempt_dir: Path
    num_ranks: int
    devices: Sequence[str]

    @property
    def device_arguments(self) -> Sequence[str]:
        return ("--devices", ",".join(self.devices)) if self.devices else ()


@dataclass(frozen=True, slots=True)
class _End:
    exit_status: int
    asked: _Asked


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Supervises claimed jobs, each from the thread that calls; lengths are in seconds.

    drain: lets children checkpoint and stop; at_once: kills them. nursery: where children are forked from rather
    than started anew.
    """

    job_store: JobStore
    artifact_root: Path
    lease_s: float
    heartbeat_s: float
    stop_grace_s: float
    max_attempts_without_progress: int
    threads_per_job: int
    drain: threading.Event
    at_once: threading.Event = field(default_factory=threading.Event)
    child_command: Callable[[Lease, Path], Sequence[str]] = execute_command
    nursery: NurseryKeeper | None = None

    def supervise(self, claim: Claim, *, devices: Sequence[str] = ()) -> None:
        """Runs the claimed job's attempt to its end; blocks until the child has been reaped.

        devices: GPUs that it may use, as in CUDA_VISIBLE_DEVICES; all that there are where none is named.
        """
        lease = claim.lease
        try:
            try:
                self._run_attempt(lease, num_ranks=num_devices_of(claim.spec), devices=devices)
            except OSError as error:
                message = f"The worker could not run the attempt: {error}."
                self._release(lease, counted=True, message=message)
        except DriftgateError as error:
            # A lost lease is another attempt's business; where the database is away, the lease
            # expires and the job is taken up again from its checkpoints.
            logger.warning("job %s, attempt %d, let go: %s", lease.job_id, lease.epoch, error)

    def _run_attempt(self, lease: Lease, *, num_ranks: int, devices: Sequence[str]) -> None:
        attempt_dir = self.artifact_root / "jobs" / lease.job_id / str(lease.epoch)
        attempt_dir.mkdir(parents=True, exist_ok=True)
        start = _Start(lease, attempt_dir, num_ranks, devices)
        self._outlast(lambda: self.job_store.start_running(lease))
        kills_before = out_of_memory_kills()
        child = self._forked(start) or self._spawned(start)
        try:
            try:
                end = self._watch(child, lease)
            except NeverStartedError:
                logger.warning("job %s: its child is started anew", lease.job_id)
                child = self._spawned(start)
                end = self._watch(child, lease)
        except NeverStartedError:
            message = "The training process could not be started; the worker's log may say why."
            self._release(lease, counted=True, message=message)
        except _CancelledError:
            child.kill()
            self._finish(lease, state=JobState.CANCELLED, message="Cancelled while it ran.")
        else:
            cause = cause_of_death(
                end.exit_status,
                guard_was_lost=child.guard_was_lost,
                kills_before=kills_before,
                log_path=attempt_dir / LOG_FILE,
            )
            self._report(lease, end, attempt_dir, cause=cause)
        finally:
            child.kill()
            remove_scratch(attempt_dir)

    def _forked(self, start: _Start) -> AttemptProcess | None:
        if self.nursery is None or start.num_ranks > 1:
            return None
        arguments = execute_arguments(start.lease, start.attempt_dir)
        return self.nursery.start_attempt(
            (*arguments, *start.device_arguments), log_path=start.attempt_dir / LOG_FILE
        )

    def _spawned(self, start: _Start) -> AttemptProcess:
        lease, attempt_dir = start.lease, start.attempt_dir
        command = (
            self.child_command(lease, attempt_dir)
            if start.num_ranks == 1
            else ranks_command(lease, attempt_dir, num_ranks=start.num_ranks)
        )
        return spawn(
            (*command, *start.device_arguments),
            log_path=attempt_dir / LOG_FILE,
            environment=child_environment(self.threads_per_job),
        )

    def _watch(self, child: AttemptProcess, lease: Lease) -> _End:
        """How the child ended; it is killed where it outstays the grace of a drain or of its deadline.

        Raises LEASE_LOST when another attempt holds the job, _CancelledError when a client
        cancelled it and NeverStartedError. While the database is away the child trains on: an expired
        lease may be stolen, but is not invalid.
        """
        next_heartbeat_at = time.monotonic()
        deadline_at = math.inf
        kill_at = None
        asked = _Asked.NOT
        while True:
            exit_status = child.wait(timeout_s=min(WATCH_INTERVAL_S, self.heartbeat_s))
            if exit_status is not None:
                return _End(exit_status, asked)
            now = time.monotonic()
            if kill_at is None:
                reason = self._reason_to_stop(is_overdue=now >= deadline_at)
                if reason is not _Asked.NOT:
                    asked = reason
                    child.ask_to_stop()
                    # A child that has not started has nothing to save.
                    kill_at = now if child.pid is None else now + self.stop_grace_s
            elif now >= kill_at or self.at_once.is_set():
                exit_status = child.kill()
                return _End(-signal.SIGKILL if exit_status is None else exit_status, asked)
            if now >= next_heartbeat_at:
                orders = self._beat(lease)
                if orders.seconds_left is not None:
                    deadline_at = time.monotonic() + orders.seconds_left
                if orders.pause and asked is _Asked.NOT:
                    # No grace runs out: to be killed would cost what it did since its last checkpoint.
                    asked = _Asked.TO_PAUSE
                    child.ask_to_stop()
                next_heartbeat_at = time.monotonic() + self.heartbeat_s

    def _reason_to_stop(self, *, is_overdue: bool) -> _Asked:
        if self.drain.is_set():
            return _Asked.TO_DRAIN
        return _Asked.AT_DEADLINE if is_overdue else _Asked.NOT

    def _beat(self, lease: Lease) -> Orders:
        """Renews the lease; none of the orders where the database is away. Raises LEASE_LOST and _CancelledError."""
        try:
            orders = self.job_store.heartbeat(lease, lease_s=self.lease_s)
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            logger.warning("job %s trains on without heartbeat: %s", lease.job_id, error.message)
            return Orders(cancel=False, pause=False)
        if orders.cancel:
            raise _CancelledError
        return orders

    def _report(self, lease: Lease, end: _End, attempt_dir: Path, *, cause: str) -> None:
        failure = read_failure(attempt_dir) if end.exit_status == ExitStatus.FAILED else None
        if end.exit_status == ExitStatus.DONE:
            self._finish(lease, state=JobState.SUCCEEDED, message="Everything is done.")
        elif failure is not None:
            self._finish(lease, state=JobState.FAILED, message=failure.message, failure=failure)
        elif end.asked is _Asked.AT_DEADLINE:
            # The database, whose clock it is, fails the job with DEADLINE_EXCEEDED.
            self._release(lease, counted=False, message="Its attempt was stopped.")
        elif end.asked is _Asked.TO_DRAIN:
            self._release(lease, counted=False, message="The worker was asked to stop.")
        elif end.exit_status == ExitStatus.FENCED:
            message = "The attempt found another one at its job."
            self._release(lease, counted=False, message=message)
        elif end.asked is _Asked.TO_PAUSE and end.exit_status in STOPPED_STATUSES:
            self._release(lease, counted=False, message="The attempt stopped for the pause.")
        elif end.exit_status in STOPPED_STATUSES:
            self._release(lease, counted=False, message="The attempt stopped when it was asked to.")
        elif end.exit_status == ExitStatus.NO_STORE:
            told = read_failure(attempt_dir)
            message = told.message if told else "What the job needs is full or away."
            self._release(lease, counted=False, message=message)
        else:
            self._release(lease, counted=True, message=cause)

    def _finish(
        self, lease: Lease, *, state: JobState, message: str, failure: Failure | None = None
    ) -> None:
        self._outlast(
            lambda: self.job_store.finish(lease, state=state, failure=failure, message=message)
        )
        logger.info("job %s %s: %s", lease.job_id, state, message)

    def _release(self, lease: Lease, *, counted: bool, message: str) -> None:
        state = self._outlast(
            lambda: self.job_store.release(
                lease,
                message=message,
                counted=counted,
                max_attempts=self.max_attempts_without_progress,
            )
        )
        logger.info("job %s released, now %s: %s", lease.job_id, state, message)

    def _outlast(self, attempt: Callable[[], Result]) -> Result:
        return outlast_outage(attempt, pause=lambda: self.drain.wait(self.heartbeat_s))


def child_environment(threads_per_job: int) -> dict[str, str]:
    """Read by libraries when they are imported."""
    threads = str(threads_per_job)
    return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
