"""Holds one job: starts the child that trains it, keeps the lease, and writes how it ended."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from service.child_process import ChildProcess, describe_exit, last_lines
from service.errors import DriftgateError, ErrorCode
from service.jobs.results import Failure
from service.jobs.state import JobState
from service.storage.job_store import Claim, JobStore, Lease
from worker.attempt_end import LOG_FILE, ExitStatus, read_failure
from worker.database_outage import outlast_outage

logger = logging.getLogger(__name__)

# How soon a drain is noticed; a child's end is noticed at once.
WATCH_INTERVAL_S = 0.2


Result = TypeVar("Result")


def execute_command(lease: Lease, attempt_dir: Path) -> Sequence[str]:
    """The command that runs one attempt in its folder."""
    return (
        *(sys.executable, "-P", "-m", "worker.execute"),
        *("--job", lease.job_id),
        *("--epoch", str(lease.epoch)),
        *("--owner", lease.owner),
        *("--attempt-dir", str(attempt_dir)),
    )


class _CancelledError(Exception):
    """A client asked for the job's end."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Supervises claimed jobs, each from the thread that calls; lengths are in seconds."""

    job_store: JobStore
    artifact_root: Path
    lease_s: float
    heartbeat_s: float
    stop_grace_s: float
    max_attempts_without_progress: int
    threads_per_job: int
    drain: threading.Event
    child_command: Callable[[Lease, Path], Sequence[str]] = execute_command

    def supervise(self, claim: Claim) -> None:
        """Runs the claimed job's attempt to its end; blocks until the child has been reaped."""
        lease = claim.lease
        try:
            try:
                self._run_attempt(lease)
            except OSError as error:
                message = f"The worker could not run the attempt: {error}."
                self._release(lease, counted=True, message=message)
        except DriftgateError as error:
            # A lost lease is another attempt's business; where the database is away, the lease
            # expires and the job is taken up again from its checkpoints.
            logger.warning("job %s, attempt %d, let go: %s", lease.job_id, lease.epoch, error)

    def _run_attempt(self, lease: Lease) -> None:
        attempt_dir = self.artifact_root / "jobs" / lease.job_id / str(lease.epoch)
        attempt_dir.mkdir(parents=True, exist_ok=True)
        self._outlast(lambda: self.job_store.start_running(lease))
        threads = str(self.threads_per_job)
        child = ChildProcess(
            self.child_command(lease, attempt_dir),
            log_path=attempt_dir / LOG_FILE,
            environment={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        )
        try:
            exit_status = self._watch(child, lease)
        except _CancelledError:
            child.kill()
            self._finish(lease, state=JobState.CANCELLED, message="Cancelled while it ran.")
        else:
            self._report(lease, exit_status, attempt_dir)
        finally:
            child.kill()

    def _watch(self, child: ChildProcess, lease: Lease) -> int:
        """The child's exit status; it is killed where it outstays a drain's grace.

        Raises LEASE_LOST when another attempt holds the job and _CancelledError when a client
        cancelled it. While the database is away the child trains on: an expired lease may be
        stolen, but is not invalid.
        """
        next_heartbeat_at = time.monotonic()
        kill_at = None
        told_to_pause = False
        while True:
            exit_status = child.wait(timeout_s=min(WATCH_INTERVAL_S, self.heartbeat_s))
            if exit_status is not None:
                return exit_status
            now = time.monotonic()
            if self.drain.is_set() and kill_at is None:
                child.ask_to_stop()
                kill_at = now + self.stop_grace_s
            if kill_at is not None and now >= kill_at:
                return child.kill()
            if now >= next_heartbeat_at:
                if self._is_to_pause(lease) and not told_to_pause:
                    # No grace runs out: to be killed would cost what it did since its last checkpoint.
                    child.ask_to_stop()
                    told_to_pause = True
                next_heartbeat_at = time.monotonic() + self.heartbeat_s

    def _is_to_pause(self, lease: Lease) -> bool:
        """Renews the lease. Raises LEASE_LOST and _CancelledError."""
        try:
            orders = self.job_store.heartbeat(lease, lease_s=self.lease_s)
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            logger.warning("job %s trains on without heartbeat: %s", lease.job_id, error.message)
            return False
        if orders.cancel:
            raise _CancelledError
        return orders.pause

    def _report(self, lease: Lease, exit_status: int, attempt_dir: Path) -> None:
        failure = read_failure(attempt_dir) if exit_status == ExitStatus.FAILED else None
        if exit_status == ExitStatus.DONE:
            self._finish(lease, state=JobState.SUCCEEDED, message="Everything is done.")
        elif failure is not None:
            self._finish(lease, state=JobState.FAILED, message=failure.message, failure=failure)
        elif self.drain.is_set():
            self._release(lease, counted=False, message="The worker was asked to stop.")
        elif exit_status in (ExitStatus.STOPPED, -signal.SIGTERM):
            # By the signal where it came before the child could handle it.
            self._release(lease, counted=False, message="The attempt stopped when it was asked to.")
        else:
            self._release(lease, counted=True, message=_crash_message(exit_status, attempt_dir))

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


def _crash_message(exit_status: int, attempt_dir: Path) -> str:
    message = f"The training process {describe_exit(exit_status)}."
    tail = last_lines(attempt_dir / LOG_FILE)
    return f"{message} The end of its log:\n{tail}" if tail else message
