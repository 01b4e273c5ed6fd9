"""One thread that reads the database for all open streams and long polls of a process.

A stream costs no thread, no session and no query of its own: every `poll_s` the thread asks once for the marks of
all jobs that are followed, and reads what is new of those that moved. Without a follower it ends.

    async with tailer.subscribe(job_id, after_seq=seq) as subscription:
        async for events in subscription:  # tuple[JobEvent, ...] by seq; () where a heartbeat is due
            ...
    subscription.end  # why it stopped: a StreamEnd

    async with tailer.subscribe_to_changes(token) as subscription:
        async for changes in subscription:  # tuple[FeedChange, ...], each with its token
            ...

    if await tailer.wait_for_version(job_id, other_than=job.version, timeout_s=30.0): ...
    if await tailer.wait_for_end(job_id, timeout_s=30.0): ...
    if await tailer.wait_for_change(token, timeout_s=30.0): ...
"""

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import TypeVar

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import TERMINAL_STATES
from service.storage.change_feed import FeedPlace, place_of_feed_token
from service.storage.job_reads import JobMark, JobReads
from service.stream_reads import (
    EventSubscription,
    FeedSubscription,
    Handover,
    read_changes,
    read_events,
    read_marks,
)
from service.stream_subscriptions import Item, Place, StreamEnd, Subscription

logger = logging.getLogger(__name__)

# Streams that open together are served together.
GATHER_S = 0.01
JOIN_TIMEOUT_S = 1.0

Condition = TypeVar("Condition")
_Call = tuple[asyncio.AbstractEventLoop, Callable[[], None]]


class _Wait:
    """One long poll, in the event loop that made it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[bool] = self.loop.create_future()
        self.is_new = True

    def finish(self, outcome: bool) -> None:  # noqa: FBT001 the future's result
        if not self.outcome.done():
            self.outcome.set_result(outcome)


Follower = TypeVar("Follower", EventSubscription, FeedSubscription, _Wait)


class ChangeTailer:
    """Waits are for asyncio; any number of event loops may share one tailer, and any thread may close it.

    While the database does not answer, streams and waits go on waiting.
    """

    def __init__(self, job_store: JobReads, *, poll_s: float, heartbeat_s: float) -> None:
        self._job_store = job_store
        self._poll_s = poll_s
        self._heartbeat_s = heartbeat_s
        self._lock = threading.Condition()
        # All below under the lock.
        self._event_streams: dict[EventSubscription, str] = {}
        self._feed_streams: dict[FeedSubscription, None] = {}
        self._job_waits: dict[_Wait, tuple[str, Callable[[JobMark | None], bool]]] = {}
        self._feed_waits: dict[_Wait, FeedPlace] = {}
        self._is_urgent = False
        self._thread: threading.Thread | None = None
        self.is_closed = False

    @property
    def num_followers(self) -> int:
        """Open streams and long polls."""
        with self._lock:
            return self._count()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is read."""
        with self._lock:
            return self._thread is None

    def subscribe(self, job_id: str, *, after_seq: int = 0) -> EventSubscription:
        """The job's events after a seq, those that are there and those to come.

        Ends after the event by which the job ended, or with JOB_DELETED where there is no such job. Ask
        `Operations.has_told_all` first: it refuses a seq that the job has not come to.
        """
        return Subscription(
            after_seq,
            idle_s=self._heartbeat_s,
            join=lambda stream: self._join(self._event_streams, stream, job_id),
            leave=lambda stream: self._leave(self._event_streams, stream),
            ask=self._ask,
        )

    def subscribe_to_changes(self, after: str) -> FeedSubscription:
        """The feed of changes from a token on. Raises INVALID_ARGUMENT for a foreign token."""
        return Subscription(
            place_of_feed_token(after),
            idle_s=self._heartbeat_s,
            join=lambda stream: self._join(self._feed_streams, stream, None),
            leave=lambda stream: self._leave(self._feed_streams, stream),
            ask=self._ask,
        )

    async def wait_for_version(self, job_id: str, *, other_than: int, timeout_s: float) -> bool:
        """True as soon as the job is of another version or gone; False after the time, or at the close."""

        def is_other(mark: JobMark | None) -> bool:
            return mark is None or mark.version != other_than

        return await self._wait(self._job_waits, (job_id, is_other), timeout_s)

    async def wait_for_end(self, job_id: str, *, timeout_s: float) -> bool:
        """True as soon as the job has ended or is gone; False after the time, or at the close."""

        def has_ended(mark: JobMark | None) -> bool:
            return mark is None or mark.state in TERMINAL_STATES

        return await self._wait(self._job_waits, (job_id, has_ended), timeout_s)

    async def wait_for_change(self, after: str, *, timeout_s: float) -> bool:
        """True as soon as something follows the token; False after the time, or at the close.

        Raises INVALID_ARGUMENT for a foreign token.
        """
        return await self._wait(self._feed_waits, place_of_feed_token(after), timeout_s)

    def close(self) -> None:
        """End every subscription and every wait, those to come too. May be called again."""
        with self._lock:
            self.is_closed = True
            self._lock.notify_all()
            thread = self._thread
        self._end_all()
        if thread is not None:
            thread.join(JOIN_TIMEOUT_S)

    def _join(
        self,
        streams: MutableMapping[Subscription[Item, Place], Condition],
        stream: Subscription[Item, Place],
        about: Condition,
    ) -> None:
        with self._lock:
            if self.is_closed:
                stream.receive((), StreamEnd.SERVER_STOPS)
                return
            streams[stream] = about
            self._see_to_the_thread()

    def _leave(
        self,
        streams: MutableMapping[Subscription[Item, Place], Condition],
        stream: Subscription[Item, Place],
    ) -> None:
        with self._lock:
            streams.pop(stream, None)

    def _ask(self, stream: Subscription[Item, Place]) -> None:
        with self._lock:
            stream.is_hungry = True
            if stream.is_behind:
                self._hurry()

    async def _wait(
        self, waits: MutableMapping[_Wait, Condition], condition: Condition, timeout_s: float
    ) -> bool:
        wait = _Wait()
        with self._lock:
            if self.is_closed:
                return False
            waits[wait] = condition
            self._see_to_the_thread()
            self._hurry()
        try:
            async with asyncio.timeout(timeout_s):
                return await wait.outcome
        except TimeoutError:
            return False
        finally:
            with self._lock:
                waits.pop(wait, None)

    def _count(self) -> int:
        streams = len(self._event_streams) + len(self._feed_streams)
        return streams + len(self._job_waits) + len(self._feed_waits)

    def _hurry(self) -> None:
        self._is_urgent = True
        self._lock.notify_all()

    def _see_to_the_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="change-tailer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._follow()
        except BaseException:
            # A defect: the streams end, so that their clients come back to a new thread.
            with self._lock:
                self._thread = None
            self._end_all()
            raise

    def _follow(self) -> None:
        next_round_at = time.monotonic() + self._poll_s
        was_available = True
        while self._pause_until(next_round_at):
            is_round = time.monotonic() >= next_round_at
            if is_round:
                next_round_at = time.monotonic() + self._poll_s
            try:
                self._serve(everyone=is_round)
            except DriftgateError as error:
                if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                    raise
                if was_available:
                    logger.warning("Streams wait for the database: %s", error.message)
                was_available = False
            else:
                was_available = True

    def _pause_until(self, next_round_at: float) -> bool:
        """Until the next round, or until a stream asks for what is there; False where nobody follows."""
        with self._lock:
            if not self.is_closed and not self._is_urgent:
                self._lock.wait(max(0.0, next_round_at - time.monotonic()))
            if self.is_closed or self._count() == 0:
                self._thread = None
                return False
            was_urgent, self._is_urgent = self._is_urgent, False
        if was_urgent:
            time.sleep(GATHER_S)
        return True

    def _serve(self, *, everyone: bool) -> None:
        """Read once, and hand over; not everyone: only to those that are new or may be behind."""
        with self._lock:
            events = {
                stream: job_id
                for stream, job_id in self._event_streams.items()
                if _is_due(stream, everyone=everyone)
            }
            feeds = [each for each in self._feed_streams if _is_due(each, everyone=everyone)]
            job_waits = _due_waits(self._job_waits, everyone=everyone)
            feed_waits = _due_waits(self._feed_waits, everyone=everyone)
        job_ids = [*events.values(), *(job_id for job_id, _ in job_waits.values())]
        marks = read_marks(self._job_store, job_ids)
        met = [wait for wait, (job_id, is_met) in job_waits.items() if is_met(marks.get(job_id))]
        calls = self._settle(read_events(self._job_store, events, marks))
        if feeds or feed_waits:
            newest = self._job_store.newest_change()
            met += [wait for wait, place in feed_waits.items() if place < newest]
            calls += self._settle(read_changes(self._job_store, feeds, newest))
        self._call_in_loops([*calls, *_finishing(met, outcome=True)])

    def _settle(self, handovers: Iterable[Handover[Item, Place]]) -> list[_Call]:
        """Note where each stream will stand; returns what is to be called in its loop."""
        calls: list[_Call] = []
        with self._lock:
            for handover in handovers:
                stream = handover.subscription
                stream.place = handover.place
                stream.is_behind = handover.is_behind
                if handover.batch or handover.end is not None:
                    stream.is_hungry = False
                    receive = partial(stream.receive, handover.batch, handover.end)
                    calls.append((stream.loop, receive))
                elif handover.is_behind:
                    self._is_urgent = True
        return calls

    def _end_all(self) -> None:
        with self._lock:
            ends = [*_ending(self._event_streams), *_ending(self._feed_streams)]
            waits = [*self._job_waits, *self._feed_waits]
        self._call_in_loops([*ends, *_finishing(waits, outcome=False)])

    def _call_in_loops(self, calls: Iterable[_Call]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = defaultdict(list)
        for loop, call in calls:
            by_loop[loop].append(call)
        for loop, of_loop in by_loop.items():
            try:
                loop.call_soon_threadsafe(_call_all, of_loop)
            except RuntimeError:
                self._forget(loop)

    def _forget(self, closed_loop: asyncio.AbstractEventLoop) -> None:
        """A loop that was closed with streams open takes none of them off."""
        with self._lock:
            _drop(self._event_streams, closed_loop)
            _drop(self._feed_streams, closed_loop)
            _drop(self._job_waits, closed_loop)
            _drop(self._feed_waits, closed_loop)


def _is_due(stream: Subscription[Item, Place], *, everyone: bool) -> bool:
    return stream.is_hungry and (everyone or stream.is_behind)


def _due_waits(waits: Mapping[_Wait, Condition], *, everyone: bool) -> dict[_Wait, Condition]:
    due = {wait: condition for wait, condition in waits.items() if everyone or wait.is_new}
    for wait in due:
        wait.is_new = False
    return due


def _drop(followers: dict[Follower, Condition], closed_loop: asyncio.AbstractEventLoop) -> None:
    for follower in [each for each in followers if each.loop is closed_loop]:
        del followers[follower]


def _ending(streams: Iterable[Subscription[Item, Place]]) -> list[_Call]:
    return [(each.loop, partial(each.receive, (), StreamEnd.SERVER_STOPS)) for each in streams]


def _finishing(waits: Iterable[_Wait], *, outcome: bool) -> list[_Call]:
    return [(wait.loop, partial(wait.finish, outcome)) for wait in waits]


def _call_all(calls: Iterable[Callable[[], None]]) -> None:
    for call in calls:
        call()
