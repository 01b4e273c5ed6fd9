import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.access import ANYONE, Caller, Scope
from service.request_limits import RequestLimits


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def caller(name: str = "a", **limits: int) -> Caller:
    return Caller(name, Scope.WRITE, **limits)


def num_accepted(limits: RequestLimits, who: Caller, num_requests: int) -> int:
    accepted = 0
    for _ in range(num_requests):
        try:
            limits.take_request(who)
        except DriftgateError:
            continue
        accepted += 1
    return accepted


def test_ten_seconds_worth_may_come_at_once_and_then_the_rate():
    clock = Clock()
    limits = RequestLimits(max_streams=1, clock=clock)
    who = caller(max_requests_per_minute=120)
    assert num_accepted(limits, who, 100) == 20
    clock.now_s += 3  # 2 a second
    assert num_accepted(limits, who, 100) == 6
    clock.now_s += 3600
    assert num_accepted(limits, who, 100) == 20


def test_a_refused_request_names_the_time_after_which_it_would_pass():
    clock = Clock()
    limits = RequestLimits(max_streams=1, clock=clock)
    who = caller(max_requests_per_minute=2)
    limits.take_request(who)
    clock.now_s += 5
    with pytest.raises(DriftgateError) as caught:
        limits.take_request(who)
    # One token takes 30 s, of which 5 have passed.
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert math.isclose(caught.value.retry_after_s, 25)
    clock.now_s += caught.value.retry_after_s - 0.001
    assert num_accepted(limits, who, 1) == 0
    clock.now_s += 0.002
    assert num_accepted(limits, who, 2) == 1


def test_keys_do_not_share_their_requests():
    limits = RequestLimits(max_streams=1, clock=Clock())
    assert num_accepted(limits, caller("a", max_requests_per_minute=60), 20) == 10
    assert num_accepted(limits, caller("b", max_requests_per_minute=60), 20) == 10


def test_without_keys_no_request_is_counted():
    assert num_accepted(RequestLimits(max_streams=1, clock=Clock()), ANYONE, 10_000) == 10_000


def test_idle_buckets_are_forgotten_and_busy_ones_are_not():
    clock = Clock()
    limits = RequestLimits(max_streams=1, clock=clock)
    for number in range(9_999):
        limits.take_request(caller(f"idle {number}", max_requests_per_minute=6))
    clock.now_s += 60
    busy = caller("busy", max_requests_per_minute=6)
    limits.take_request(busy)
    limits.take_request(caller("one more", max_requests_per_minute=6))
    assert num_accepted(limits, busy, 1) == 0
    assert len(limits._buckets) == 2


def test_a_key_has_so_many_streams_and_gets_a_closed_one_back():
    limits = RequestLimits(max_streams=10)
    who = caller(max_streams=2)
    with limits.stream(who):
        with limits.stream(who), pytest.raises(DriftgateError) as caught, limits.stream(who):
            pass
        assert caught.value.code is ErrorCode.QUOTA_EXCEEDED
        with limits.stream(who), limits.stream(caller("b", max_streams=1)):
            pass


def test_all_callers_together_have_the_streams_of_the_process():
    limits = RequestLimits(max_streams=3)
    with limits.stream(caller("a")), limits.stream(caller("b")), limits.stream(ANYONE):
        assert limits.num_streams == 3
        with pytest.raises(DriftgateError) as caught, limits.stream(ANYONE):
            pass
        assert caught.value.code is ErrorCode.QUOTA_EXCEEDED
        assert "This server" in caught.value.message
    assert limits.num_streams == 0


def test_a_stream_that_breaks_gives_its_place_back():
    limits = RequestLimits(max_streams=1)
    with pytest.raises(ConnectionResetError), limits.stream(ANYONE):
        raise ConnectionResetError
    with limits.stream(ANYONE):
        pass


def test_threads_together_do_not_get_more_than_there_is():
    limits = RequestLimits(max_streams=50, clock=Clock())
    who = caller(max_requests_per_minute=600, max_streams=1000)
    places = ExitStack()

    def ask(_number: int) -> tuple[int, bool]:
        accepted = num_accepted(limits, who, 10)
        try:
            places.enter_context(limits.stream(who))
        except DriftgateError:
            return accepted, False
        return accepted, True

    with places, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(100)))
        assert sum(accepted for accepted, _ in answers) == 100
        assert sum(streams for _, streams in answers) == 50
