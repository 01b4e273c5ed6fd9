"""What an attempt writes on its host while it works; every name begins with a dot, as nothing's that stays."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(attempt_dir: Path) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    attempt_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=attempt_dir) as folder:
        yield Path(folder)


def remove_scratch(attempt_dir: Path) -> None:
    """Of an attempt that was killed."""
    for path in attempt_dir.glob(".*"):
        shutil.rmtree(path, ignore_errors=True)
