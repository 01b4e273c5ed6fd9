"""A sign of life of a process that listens nowhere: a file that it touches at every turn of its loop."""

import logging
import time
from pathlib import Path

logger = logging.getLogger(__name__)


def touch_health_file(path: Path | None) -> None:
    """Says that the loop turned now; a file that cannot be written shows as a process that stands still."""
    if path is None:
        return
    try:
        path.touch()
    except OSError as error:
        logger.warning("the health file %s cannot be touched: %s", path, error)


def seconds_since_touched(path: Path) -> float | None:
    """None where there is no such file."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return None
