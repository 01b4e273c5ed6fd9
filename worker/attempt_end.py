"""How a child tells its supervisor in what way the attempt ended: an exit status and a file."""

import enum
import os
import signal
from pathlib import Path

from service.errors import ErrorCode
from service.jobs.results import Failure

LOG_FILE = "log.txt"
FAILURE_FILE = "failure.json"


class ExitStatus(enum.IntEnum):
    """Every other status is a crash; so is FAILED without a failure file."""

    DONE = 0
    FAILED = 1
    NO_STORE = 74  # one of AWAY, by no fault of the job
    STOPPED = 75  # asked to stop: checkpointed, the next attempt goes on from there
    FENCED = 76  # another attempt holds the job
    PEER_LOST = 77  # of a rank: another one ended, and that is why the attempt ends


# What ends an attempt when it has waited long enough, and not the job.
AWAY = frozenset({ErrorCode.ARTIFACTS_UNAVAILABLE, ErrorCode.TEACHER_UNAVAILABLE})


# Asks the first of several ranks to stop; SIGTERM ends a rank, after another has ended.
STOP_RANK = signal.SIGUSR1


class StopRequestedError(Exception):
    """The worker drains: what is committed stays, the next attempt does the rest."""


def write_failure(failure: Failure, attempt_dir: Path) -> None:
    """Complete or not there at all. Of several ranks the first that fails says why."""
    if (attempt_dir / FAILURE_FILE).exists():
        return
    aside = attempt_dir / f"{FAILURE_FILE}.{os.getpid()}.partial"
    with aside.open("w") as file:
        file.write(failure.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    aside.rename(attempt_dir / FAILURE_FILE)


def read_failure(attempt_dir: Path) -> Failure | None:
    """What the child left; None where it died before it could."""
    try:
        return Failure.model_validate_json((attempt_dir / FAILURE_FILE).read_bytes())
    except (OSError, ValueError):
        return None
