"""Child programs for the supervisor: real processes that do one thing each instead of training."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from service.storage.job_store import Lease

PREAMBLE = """
import os, pathlib, signal, subprocess, sys, time
attempt_dir = pathlib.Path(sys.argv[1])
def announce(name, pid):
    (attempt_dir / "partial").write_text(str(pid))
    (attempt_dir / "partial").rename(attempt_dir / name)
"""


def child_that(program: str) -> Callable[[Lease, Path], Sequence[str]]:
    """The command of a child that runs `program`; it knows `attempt_dir` and `announce`."""

    def command(_lease: Lease, attempt_dir: Path) -> Sequence[str]:
        return (sys.executable, "-c", PREAMBLE + program, str(attempt_dir))

    return command


SLEEPS = "announce('child.pid', os.getpid()); time.sleep(600)"

IGNORES_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPS

STOPS_AFTER_CHECKPOINT_ON_SIGTERM = (
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75));" + SLEEPS
)

WAITS_FOR_A_FILE = """
announce('child.pid', os.getpid())
while not (attempt_dir / "end").exists():
    time.sleep(0.02)
"""

STARTS_A_GRANDCHILD = "announce('grandchild.pid', subprocess.Popen(['sleep', '600']).pid);" + SLEEPS


def read_pid(path: Path) -> int:
    return int(path.read_text())
