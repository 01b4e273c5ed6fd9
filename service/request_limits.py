"""How much one key may ask of one process: requests a minute, and open streams.

Counts live in the process: behind N server processes a key has N times its requests and its streams.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Caller

SECONDS_OF_BURST = 10
SECONDS_TO_FULL = 60  # of the slowest bucket, which holds one request and gains one a minute
MAX_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    """Tokens that were left at a time of the clock."""

    tokens: float
    at_s: float


class RequestLimits:
    """Threads and an event loop may share one; no call waits."""

    def __init__(self, *, max_streams: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_streams = max_streams
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._streams_by_caller: Counter[str] = Counter()

    def take_request(self, caller: Caller) -> None:
        """Count one request. Raises RATE_LIMITED with the seconds until the next one would pass.

        A token bucket that holds ten seconds' worth: a client that paused may catch up by so much.
        """
        if caller.max_requests_per_minute is None:
            return
        per_second = caller.max_requests_per_minute / 60
        capacity = max(1.0, per_second * SECONDS_OF_BURST)
        with self._lock:
            now_s = self._clock()
            bucket = self._bucket(caller.key_id, capacity, now_s)
            refilled = bucket.tokens + (now_s - bucket.at_s) * per_second
            bucket.tokens, bucket.at_s = min(capacity, refilled), now_s
            if bucket.tokens >= 1:
                bucket.tokens -= 1
                return
            wait_s = (1 - bucket.tokens) / per_second
        raise DriftgateError(
            ErrorCode.RATE_LIMITED,
            f"This API key may send {caller.max_requests_per_minute:,} requests a minute. Send the next one "
            f"in {math.ceil(wait_s)} s.",
            [Violation("requests_per_minute", "more", f"{caller.max_requests_per_minute}")],
            retry_after_s=wait_s,
        )

    @property
    def num_streams(self) -> int:
        """Open ones, of all callers."""
        with self._lock:
            return self._streams_by_caller.total()

    @contextmanager
    def stream(self, caller: Caller) -> Iterator[None]:
        """Holds a place for one open stream. Raises QUOTA_EXCEEDED where the key or the process has none."""
        self._take_stream(caller)
        try:
            yield
        finally:
            self._give_stream_back(caller)

    def _take_stream(self, caller: Caller) -> None:
        with self._lock:
            num_of_caller = self._streams_by_caller[caller.key_id]
            num_of_process = self._streams_by_caller.total()
            if caller.max_streams is not None and num_of_caller >= caller.max_streams:
                raise _no_stream_left("This API key", num_of_caller, caller.max_streams)
            if num_of_process >= self._max_streams:
                raise _no_stream_left("This server", num_of_process, self._max_streams)
            self._streams_by_caller[caller.key_id] += 1

    def _give_stream_back(self, caller: Caller) -> None:
        with self._lock:
            self._streams_by_caller[caller.key_id] -= 1
            if not self._streams_by_caller[caller.key_id]:
                del self._streams_by_caller[caller.key_id]

    def _bucket(self, caller_id: str, capacity: float, now_s: float) -> _Bucket:
        bucket = self._buckets.get(caller_id)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._forget_idle(now_s)
            bucket = self._buckets[caller_id] = _Bucket(tokens=capacity, at_s=now_s)
        return bucket

    def _forget_idle(self, now_s: float) -> None:
        """Drops the buckets that are full again, which is what a new one is."""
        self._buckets = {
            caller_id: bucket
            for caller_id, bucket in self._buckets.items()
            if now_s - bucket.at_s < SECONDS_TO_FULL
        }


def _no_stream_left(whose: str, num_open: int, allowed: int) -> DriftgateError:
    return DriftgateError(
        ErrorCode.QUOTA_EXCEEDED,
        f"{whose} has {num_open:,} open streams, and may have {allowed:,}. Close one, or poll.",
        [Violation("streams", str(num_open), f"at most {allowed}")],
    )
