"""Runs side by side: most of a run's time is waiting."""

import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, as_completed

from tests.chaos.report import Report
from tests.chaos.run import run_chaos
from tests.chaos.scales import Scale

MAX_TOLD = 3000
CLEANED_UP_IN_S = 30.0


def run_all(
    runs: Sequence[tuple[str, int]], *, scale: Scale, pool: Executor
) -> Iterator[Report | str]:
    """Of each kind of database and seed what the run found, as it ends; a text where it could not be run to its end."""
    futures = {
        pool.submit(run_chaos, seed, kind=kind, scale=scale): (kind, seed) for kind, seed in runs
    }
    for future in as_completed(futures):
        error = future.exception()
        kind, seed = futures[future]
        if error is None:
            yield future.result()
        else:
            said = "".join(traceback.format_exception(error))[-MAX_TOLD:]
            yield f"seed {seed} on {kind} came to no end: {said}"


def end_after(parent_pid: int) -> None:
    """Ends this process soon after its parent, with what the run has started; a killed one would leave its database server."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(0.5)
        for _ in ("out of the run", "out of waiting for another"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(CLEANED_UP_IN_S)
        os._exit(1)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=watch, daemon=True).start()
