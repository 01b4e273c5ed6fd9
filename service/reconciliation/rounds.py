"""When the reconciler does what: in rounds, one process at a time, and not while the database is unsteady."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import DriftgateError, ErrorCode
from service.health_file import touch_health_file
from service.storage.leader_lease import LeaderLease

# A lease is over once its last moment has passed. Also what keeps the rounds apart where many end in a row.
AFTER_EXPIRY_S = 0.1
# A clock that is set right moves by less.
SLEPT_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do in every round, or where `every_s` is set, at the start and then that often.

    It has to be safe in several processes at once. needs_steadiness: it ends what looks forsaken.
    """

    run: Callable[[], None]
    every_s: float = 0.0
    needs_steadiness: bool = False


class Reconciler:
    """Several may run: one leads and the others stand by.

    After the database was away every lease looks expired, though workers could not renew theirs. So
    nothing is taken until the database has answered for one lease without a break, counted anew from
    the start and from every outage; also while standing by. The same after this host has slept: leases ran out
    meanwhile, though workers on it could renew none.
    """

    def __init__(
        self,
        duties: Sequence[Duty],
        *,
        leadership: LeaderLease,
        lease_s: float,
        interval_s: float,
        next_expiry_s: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """next_expiry_s: seconds until a lease ends unless it is renewed, for a round right then; None for none.

        clock: stands still while the host sleeps, where `wall_clock` goes on.
        """
        self._duties = duties
        self._leadership = leadership
        self._lease_s = lease_s
        self._interval_s = interval_s
        self._next_expiry_s = next_expiry_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._slept_s = self._slept_so_far_s()
        self._answered_since: float | None = None
        self._due_at = [clock() for _ in duties]
        self._leads = False

    def run_once(self) -> float:
        """One round, and the seconds until the next; an outage of the database ends it and is remembered."""
        self._notice_sleep()
        try:
            if not self._is_leader():
                self._is_steady()
                return self._interval_s
            for index, duty in enumerate(self._duties):
                self._do_if_due(index, duty)
            expiry_s = self._next_expiry_s()
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            self._answered_since = None
            logger.warning("no round: %s", error.message)
            return self._interval_s
        if expiry_s is None:
            return self._interval_s
        return min(self._interval_s, expiry_s + AFTER_EXPIRY_S)

    def run_forever(self, stop: threading.Event, *, health_file: Path | None = None) -> None:
        """Until it is told to stop; then another may lead at once."""
        while not stop.is_set():
            pause_s = self.run_once()
            touch_health_file(health_file)
            stop.wait(pause_s)
        try:
            self._leadership.let_go()
        except DriftgateError as error:
            logger.warning("the leadership ends by itself: %s", error.message)

    def _notice_sleep(self) -> None:
        slept_s = self._slept_so_far_s()
        if slept_s - self._slept_s > SLEPT_S:
            self._answered_since = None
            logger.warning("this host slept for %.0f s", slept_s - self._slept_s)
        self._slept_s = slept_s

    def _slept_so_far_s(self) -> float:
        """Up to a constant."""
        return self._wall_clock() - self._clock()

    def _is_leader(self) -> bool:
        leads = self._leadership.hold()
        if leads != self._leads:
            logger.info("leading" if leads else "standing by: another reconciler leads")
            self._leads = leads
        return leads

    def _do_if_due(self, index: int, duty: Duty) -> None:
        if self._clock() < self._due_at[index] or (duty.needs_steadiness and not self._is_steady()):
            return
        duty.run()
        # Not earlier: what an outage cut short is done again with the next round.
        self._due_at[index] = self._clock() + duty.every_s

    def _is_steady(self) -> bool:
        """Asked only after the database answered."""
        now = self._clock()
        if self._answered_since is None:
            self._answered_since = now
        return now - self._answered_since >= self._lease_s
