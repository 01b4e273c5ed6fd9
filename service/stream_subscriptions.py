"""What one open stream is still to be told, handed from the tailer's thread to the stream's event loop."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Place = TypeVar("Place")


class StreamEnd(StrEnum):
    """Why a subscription yields nothing more."""

    JOB_ENDED = "job_ended"
    JOB_DELETED = "job_deleted"
    SERVER_STOPS = "server_stops"


class Subscription(Generic[Item, Place]):
    """An asynchronous iterator over batches, oldest first, without gaps and without doubles.

    `async with` registers it with the tailer and always takes it off again; `async for` inside yields tuples of
    items. An empty tuple says that nothing happened for `idle_s` seconds: the time for a heartbeat, after
    which the loop goes on. Iteration stops once `end` is set. It belongs to the event loop that entered it.

    One batch waits at most: the next is read from the database only when the consumer comes back for it,
    from where it stands, so that a slow consumer costs no memory and loses nothing.
    """

    def __init__(
        self,
        place: Place,
        *,
        idle_s: float,
        join: "Callable[[Subscription[Item, Place]], None]",
        leave: "Callable[[Subscription[Item, Place]], None]",
        ask: "Callable[[Subscription[Item, Place]], None]",
    ) -> None:
        # The tailer's, under its lock: what was handed over last, whether the consumer waits for more, and
        # whether more may be there already.
        self.place = place
        self.is_hungry = False
        self.is_behind = True
        # The consumer's loop's.
        self.loop: asyncio.AbstractEventLoop
        self.end: StreamEnd | None = None
        self._batch: tuple[Item, ...] = ()
        self._ready = asyncio.Event()
        self._idle_s = idle_s
        self._join = join
        self._leave = leave
        self._ask = ask

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self._join(self)
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Item, ...]:
        if not self._batch and self.end is None:
            self._ask(self)
            try:
                async with asyncio.timeout(self._idle_s):
                    await self._ready.wait()
            except TimeoutError:
                return ()
        batch, self._batch = self._batch, ()
        if batch:
            self._ready.clear()
            return batch
        raise StopAsyncIteration

    def receive(self, batch: tuple[Item, ...], end: StreamEnd | None) -> None:
        """In the consumer's loop: what follows, and whether it is the last."""
        self._batch += batch
        self.end = self.end or end
        self._ready.set()
