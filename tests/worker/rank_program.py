"""A rank that does one thing instead of training: `… FOLDER DEED`, the deed of rank 1; rank 0 waits to be stopped."""

import os
import signal
import sys
import time
from pathlib import Path


def main(folder: Path, deed: str) -> None:
    rank = int(os.environ["RANK"])
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))
    (folder / f"rank{rank}").write_text(str(os.getpid()))
    while not (folder / f"rank{1 - rank}").exists():
        time.sleep(0.01)
    if rank == 1 and deed == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if rank == 1:
        (folder / "ready").touch()
    while rank == 1 or deed == "waits":
        time.sleep(0.01)
    time.sleep(0.3)
    sys.exit(77)  # it has lost its peer


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
