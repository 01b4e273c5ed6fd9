"""Writes of several threads in one transaction of SQLite.

Two thirds of a small write is its commit, for the sync and the pages of every index that it touched. While one thread
commits the others wait in any case; so the next to write takes all their writes along.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from service.errors import DriftgateError, ErrorCode

Transaction = TypeVar("Transaction")
Result = TypeVar("Result")


class _Write(Generic[Transaction]):
    """One thread's, until it has a result or an error."""

    __slots__ = ("error", "is_done", "make", "result", "turn")

    def __init__(self, make: Callable[[Transaction], Any]) -> None:
        self.make = make
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None
        # Free once the write is done, or first in the queue.
        self.turn = threading.Lock()
        self.turn.acquire()

    def end(self, *, result: object = None, error: BaseException | None = None) -> None:
        self.result, self.error, self.is_done = result, error, True


class SharedCommits(Generic[Transaction]):
    """A queue of writes, whose first makes all that are in it once it has the database's lock.

    transaction: enters with the lock, commits at the end, and rolls back on any error.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        self._transaction = transaction
        self._queue: deque[_Write[Transaction]] = deque()
        self._queue_lock = threading.Lock()

    def write(self, make: Callable[[Transaction], Result]) -> Result:
        """What `make` returns, once it is committed; or raises what it, or the transaction, raised.

        `make` runs in any thread that writes, and once more where another write of its transaction failed.
        """
        mine = _Write(make)
        with self._queue_lock:
            self._queue.append(mine)
            is_first = len(self._queue) == 1
        if not is_first:
            mine.turn.acquire()
        if not mine.is_done:
            self._make_all()
        if mine.error is not None:
            raise mine.error
        result: Result = mine.result
        return result

    def _make_all(self) -> None:
        """By the thread of the first in the queue."""
        writes: Sequence[_Write[Transaction]] = ()
        try:
            with self._transaction() as transaction:
                writes = self._waiting()
                results = [write.make(transaction) for write in writes]
        except BaseException as error:  # noqa: BLE001 raised by the thread whose write it is
            writes = writes or self._waiting()
            if _is_outage(error):
                # The database does not answer, and would make each of them wait for that anew.
                for write in writes:
                    write.end(error=error)
            else:
                self._make_each(writes, error)
        else:
            for write, result in zip(writes, results, strict=True):
                write.end(result=result)
        finally:
            self._leave(len(writes))

    def _make_each(self, writes: Sequence[_Write[Transaction]], error: BaseException) -> None:
        """Each in a transaction of its own, so that one that fails fails alone."""
        if len(writes) == 1:
            writes[0].end(error=error)
            return
        for write in writes:
            try:
                with self._transaction() as transaction:
                    result = write.make(transaction)
            except BaseException as own:  # noqa: BLE001 as above
                write.end(error=own)
            else:
                write.end(result=result)

    def _waiting(self) -> Sequence[_Write[Transaction]]:
        with self._queue_lock:
            return tuple(self._queue)

    def _leave(self, num_writes: int) -> None:
        with self._queue_lock:
            done = [self._queue.popleft() for _ in range(num_writes)]
            following = [self._queue[0]] if self._queue else []
        for write in (*done[1:], *following):
            write.turn.release()


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, DriftgateError) and error.code is ErrorCode.DATABASE_UNAVAILABLE
