"""When the end of a step is worth a checkpoint."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A checkpoint is due once this many times what one takes has passed since the last: a twentieth of the time. Of one that is
# over in no time a tenth, so that small models, whose steps are short too, are saved after every step.
INTERVAL_PER_COST, INTERVAL_PER_QUICK_COST = 19.0, 9.0
QUICK_S = 0.1
# A store that was waited for makes one checkpoint slow, and must not keep the next ones away.
NUM_COSTS = 3


class CheckpointCadence:
    """After every `every_steps` steps; or, with None, as often as costs at most a twentieth of the time, a tenth with quick ones.

    The end of the first step is due with None: what a checkpoint takes is not known before.
    """

    def __init__(
        self, every_steps: int | None, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._every_steps = every_steps
        self._clock = clock
        self._costs_s: deque[float] = deque(maxlen=NUM_COSTS)
        self._last_ended = clock()

    def is_due(self, step: int) -> bool:
        """At the end of the step of this number, counted from 1."""
        if self._every_steps is not None:
            return step % self._every_steps == 0
        if not self._costs_s:
            return True
        cost_s = min(self._costs_s)
        per_cost = INTERVAL_PER_QUICK_COST if cost_s < QUICK_S else INTERVAL_PER_COST
        return self._clock() - self._last_ended >= per_cost * cost_s

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around a checkpoint."""
        started = self._clock()
        yield
        self._last_ended = self._clock()
        self._costs_s.append(self._last_ended - started)
