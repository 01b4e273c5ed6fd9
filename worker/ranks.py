"""`python -m worker.ranks N FOLDER MODULE ARGUMENTS…`: N ranks of a module, started and watched by torchrun.

To the supervisor they are one child like any other. What asks it to stop asks rank 0, which alone decides when; when
a rank ends that should not, torchrun ends the others, and this process ends in the way that rank did. FOLDER is for
torchrun's own files.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import get_args_parser, run

from worker.attempt_end import STOP_RANK, ExitStatus

logger = logging.getLogger(__name__)

# All ranks are on this machine: nothing of what they say goes over a network.
ENVIRONMENT = {
    "GLOO_SOCKET_IFNAME": "lo",
    "PYTHONSAFEPATH": "1",  # a folder called `worker` where the user stands must not shadow this package
}
SHUTDOWN_TIMEOUT_S = 10


def main(num_ranks: int, folder: Path, module_and_arguments: Sequence[str]) -> int:
    """The exit status of the attempt; where a rank was killed this process is, by the same signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.environ.update(ENVIRONMENT)
    signal.signal(signal.SIGTERM, _ask_first_rank_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    options = get_args_parser().parse_args(
        [
            "--standalone",
            "--local-addr=127.0.0.1",
            f"--nproc-per-node={num_ranks}",
            "--max-restarts=0",
            f"--log-dir={folder}",
            # Those that ask for a stop are handled above.
            "--signals-to-handle=SIGQUIT",
            f"--shutdown-timeout={SHUTDOWN_TIMEOUT_S}",
            "--module",
            *module_and_arguments,
        ]
    )
    try:
        run(options)
    except ChildFailedError as error:
        rank, failure = _first_failure(error.failures)
        outcome = _described(failure.exitcode)
        logger.error("rank %d of %d %s", rank, num_ranks, outcome)  # noqa: TRY400 its traceback is of no use
        if failure.exitcode == -STOP_RANK:
            _die_by(signal.SIGTERM)  # it was asked before it could listen
        if failure.exitcode < 0:
            _die_by(-failure.exitcode)
        return failure.exitcode
    return ExitStatus.DONE


def _ask_first_rank_to_stop(_number: int, _frame: object) -> None:
    for pid in _children():
        with suppress(OSError):
            if b"RANK=0" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, STOP_RANK)
                return
    _die_by(signal.SIGTERM)  # nothing has begun


def _children() -> Iterator[int]:
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            yield from map(int, (task / "children").read_text().split())


def _first_failure(failures: Mapping[int, ProcessFailure]) -> tuple[int, ProcessFailure]:
    """The rank that ended first, and not for the loss of another."""
    causes = {
        rank: failure
        for rank, failure in failures.items()
        if failure.exitcode not in {ExitStatus.PEER_LOST, -signal.SIGTERM}
    }
    return min((causes or failures).items(), key=lambda each: (each[1].timestamp, each[0]))


def _described(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with status {exit_code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"was ended by signal {-exit_code}"


def _die_by(number: int) -> None:
    with suppress(OSError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
