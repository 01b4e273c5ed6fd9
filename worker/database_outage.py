"""What the worker does while the database is away: the same thing again, until it is back."""

import logging
from collections.abc import Callable
from typing import TypeVar

from service.errors import DriftgateError, ErrorCode

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def outlast_outage(attempt: Callable[[], Result], *, pause: Callable[[], bool]) -> Result:
    """The attempt's result, tried again after each `pause` while the database does not answer.

    pause: waits a little and returns True to give up; then the DATABASE_UNAVAILABLE is raised.
    Attempts must be idempotent: an answer may be lost after its commit.
    """
    while True:
        try:
            return attempt()
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            logger.warning("%s", error.message)
            if pause():
                raise
