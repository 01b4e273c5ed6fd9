import threading

import pytest

from service.errors import DriftgateError, ErrorCode
from service.reconciliation.rounds import Duty, Reconciler
from service.storage.leader_lease import LeaderLease

LEASE_S = 60


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Count:
    """A duty that counts how often it was done, and fails when the test says so."""

    def __init__(self):
        self.number = 0
        self.error = None

    def __call__(self):
        if self.error is not None:
            raise self.error
        self.number += 1


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def start(database, clock):
    def make(*duties, owner="first", leader_lease_s=60.0, interval_s=0.01, **more):
        leadership = LeaderLease(database, name="test", owner=owner, lease_s=leader_lease_s)
        return Reconciler(
            duties,
            leadership=leadership,
            lease_s=LEASE_S,
            interval_s=interval_s,
            clock=clock,
            wall_clock=clock,
            **more,
        )

    return make


def test_a_duty_is_done_at_the_start_and_then_at_its_interval(start, clock):
    every_round, hourly = Count(), Count()
    reconciler = start(Duty(every_round), Duty(hourly, every_s=3600))
    for _ in range(3):
        reconciler.run_once()
    assert (every_round.number, hourly.number) == (3, 1)
    clock.now_s += 3600
    reconciler.run_once()
    assert (every_round.number, hourly.number) == (4, 2)


def test_what_needs_steadiness_waits_for_one_lease_and_again_after_an_outage(start, clock):
    taking, looking = Count(), Count()
    reconciler = start(Duty(looking), Duty(taking, needs_steadiness=True))
    reconciler.run_once()
    clock.now_s += LEASE_S - 1
    reconciler.run_once()
    assert (looking.number, taking.number) == (2, 0)
    clock.now_s += 1
    reconciler.run_once()
    assert taking.number == 1
    looking.error = DriftgateError(ErrorCode.DATABASE_UNAVAILABLE, "The database did not answer.")
    reconciler.run_once()
    looking.error = None
    reconciler.run_once()
    assert taking.number == 1
    clock.now_s += LEASE_S
    reconciler.run_once()
    assert taking.number == 2


def test_what_an_outage_cut_short_is_done_again_in_the_next_round(start):
    hourly = Count()
    hourly.error = DriftgateError(ErrorCode.DATABASE_UNAVAILABLE, "The database did not answer.")
    reconciler = start(Duty(hourly, every_s=3600))
    reconciler.run_once()
    hourly.error = None
    reconciler.run_once()
    assert hourly.number == 1


def test_any_other_error_ends_it(start):
    broken = Count()
    broken.error = DriftgateError(ErrorCode.INTERNAL, "A defect.")
    with pytest.raises(DriftgateError, match="defect"):
        start(Duty(broken)).run_once()


@pytest.mark.parametrize(
    ("expiry_s", "pause_s"), [(None, 5.0), (60.0, 5.0), (2.0, 2.1), (0.0, 0.1)]
)
def test_the_next_round_comes_when_a_lease_ends_and_no_later_than_the_interval(
    start, expiry_s, pause_s
):
    reconciler = start(interval_s=5.0, next_expiry_s=lambda: expiry_s)
    assert reconciler.run_once() == pytest.approx(pause_s)


def test_who_stands_by_or_sees_an_outage_waits_for_the_interval(start):
    def away():
        raise DriftgateError(ErrorCode.DATABASE_UNAVAILABLE, "The database did not answer.")

    leader = start(interval_s=5.0, next_expiry_s=away)
    standby = start(owner="second", interval_s=5.0, next_expiry_s=lambda: 1.0)
    assert leader.run_once() == 5.0
    assert standby.run_once() == 5.0


def test_of_two_one_does_the_work_and_the_other_takes_over_at_once_when_it_stops(
    start, clock, wait_until
):
    first, second = Count(), Count()
    leader = start(Duty(first))
    standby = start(Duty(second, needs_steadiness=True), owner="second")
    leader.run_once()
    standby.run_once()
    clock.now_s += LEASE_S
    stop = threading.Event()
    thread = threading.Thread(target=leader.run_forever, args=(stop,))
    thread.start()
    wait_until(lambda: first.number >= 3)
    standby.run_once()
    assert second.number == 0
    stop.set()
    thread.join(timeout=10)
    standby.run_once()
    assert second.number == 1, "it saw the database answer while it stood by"


def test_a_leader_that_was_stopped_is_replaced_and_stands_by_when_it_wakes(start, wait_until):
    first, second = Count(), Count()
    sleeper = start(Duty(first), leader_lease_s=0.05)
    standby = start(Duty(second), owner="second")
    sleeper.run_once()
    wait_until(lambda: standby.run_once() and second.number)
    sleeper.run_once()
    assert (first.number, second.number) == (1, 1)
