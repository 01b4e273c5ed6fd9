"""A call to a destination, tried again where its error may pass."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from worker.attempt_end import StopRequestedError
from worker.exports.failures import export_failed

logger = logging.getLogger(__name__)

NUM_TRIES = 4
FIRST_PAUSE_S = 1.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Tries:
    """`errors` are the destination's own; `may_pass` says of which a later try may see none.

    `secrets` never stand in a message.
    """

    errors: tuple[type[Exception], ...]
    may_pass: Callable[[Exception], bool]
    stop: threading.Event
    secrets: Collection[str]

    def __call__(self, what: str, call: Callable[[], Result]) -> Result:
        """What the call returns. Raises EXPORT_FAILED, which begins with `what`, and StopRequestedError."""
        pause_s = FIRST_PAUSE_S
        for num_before in range(NUM_TRIES):
            if self.stop.is_set():
                raise StopRequestedError
            try:
                return call()
            except self.errors as error:
                failure = export_failed(what, error, secrets=self.secrets)
                if num_before == NUM_TRIES - 1 or not self.may_pass(error):
                    # Without the cause, which is logged and may show a secret.
                    raise failure from None
                logger.warning("tried again in %.0f s: %s", pause_s, failure.message)
            if self.stop.wait(pause_s):
                raise StopRequestedError
            pause_s *= 2
        raise AssertionError("the last try returns or raises")
