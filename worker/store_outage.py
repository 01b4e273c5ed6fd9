"""What an attempt does while the artifact store is full or away: the same thing again, for a while."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from service.errors import DriftgateError, ErrorCode

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0

Result = TypeVar("Result")


def outlast_store_outage(
    attempt: Callable[[], Result],
    *,
    patience_s: float,
    stop: threading.Event,
    report: Callable[[str], None],
) -> Result:
    """The attempt's result, tried again for `patience_s` after the first ARTIFACTS_UNAVAILABLE.

    That error is raised afterwards, and at once when `stop` is set. report: told of the first error, so that
    someone makes room. Attempts must be idempotent.
    """
    give_up_at: float | None = None
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return attempt()
        except DriftgateError as error:
            if error.code is not ErrorCode.ARTIFACTS_UNAVAILABLE:
                raise
            logger.warning("%s", error.message)
            if give_up_at is None:
                give_up_at = time.monotonic() + patience_s
                report(error.message)
            if time.monotonic() + pause_s > give_up_at or stop.wait(pause_s):
                raise
            pause_s = min(MAX_PAUSE_S, 2 * pause_s)
