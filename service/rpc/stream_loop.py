"""One thread with an event loop for all open streams and long polls of a server: an open one costs no thread.

gRPC's own threads hand a call over and are free again. Sending waits for the client's window, so it is done by a few
threads apart from those that read the database, and a client that takes nothing for a while is let go.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, suppress

import grpc
from google.protobuf.message import Message

from service.key_watch import KeyWatch
from service.rpc.statuses import ServerStopsError

NUM_SENDERS = 32
NUM_READERS = 4
# Of a client that is connected and takes nothing: of a stream, where it holds one of the senders, and of a transfer,
# which has a thread of its own.
SEND_STALL_S = 10.0
STALL_S = 60.0
JOIN_TIMEOUT_S = 5.0

Answers = AsyncGenerator[Message, None]
# Sends one message, or ends the call where it is given None.
Send = Callable[[Message | None], None]
# The status that a call is ended with by an error.
StatusOf = Callable[[Exception], grpc.Status]


class StreamLoop:
    """Its loop runs from `start` to `stop`; what comes before or after is ended at once."""

    def __init__(self, key_watch: KeyWatch) -> None:
        self._key_watch = key_watch
        self._loop = asyncio.new_event_loop()
        self._senders = ThreadPoolExecutor(NUM_SENDERS, thread_name_prefix="grpc-send")
        self._loop.set_default_executor(
            ThreadPoolExecutor(NUM_READERS, thread_name_prefix="grpc-read")
        )
        self._thread = threading.Thread(target=self._run, name="grpc-streams", daemon=True)
        # The loop's.
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End every stream with UNAVAILABLE, so that clients come back to another server."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        self._loop.call_soon_threadsafe(self._cancel_all)
        self._thread.join(JOIN_TIMEOUT_S)
        self._senders.shutdown(wait=False, cancel_futures=True)

    def serve(
        self,
        answers: Answers,
        context: grpc.ServicerContext,
        send: Send,
        *,
        status_of: StatusOf,
        authorization: str | None,
        place: AbstractContextManager[None],
    ) -> None:
        """Sends what is yielded, then ends the call; with UNAUTHENTICATED once the client's key is accepted no more.

        `place` is held while the call is open.
        """

        def begin() -> None:
            if self._is_stopping:
                end_call(context, send, status_of(ServerStopsError()))
                return
            task = self._loop.create_task(
                self._serve(
                    answers,
                    context,
                    send,
                    status_of=status_of,
                    authorization=authorization,
                    place=place,
                )
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if not context.add_callback(lambda: self._cancel_soon(task)):
                task.cancel()

        try:
            self._loop.call_soon_threadsafe(begin)
        except RuntimeError:  # the loop is closed
            end_call(context, send, status_of(ServerStopsError()))

    def watch(self, transfer: "Transfer", context: grpc.ServicerContext) -> Callable[[], object]:
        """Cancels a call whose transfer stands still. Returns what ends the watch."""
        watch = _cancel_if_stalled(transfer, context)
        try:
            return asyncio.run_coroutine_threadsafe(watch, self._loop).cancel
        except RuntimeError:  # the loop is closed, and the call about to end
            watch.close()
            return lambda: None

    async def _serve(
        self,
        answers: Answers,
        context: grpc.ServicerContext,
        send: Send,
        *,
        status_of: StatusOf,
        authorization: str | None,
        place: AbstractContextManager[None],
    ) -> None:
        status = None
        try:
            with place:
                async with self._key_watch.while_accepted(authorization), aclosing(answers):
                    async for answer in answers:
                        await self._send(answer, context, send)
        except asyncio.CancelledError:
            if not self._is_stopping:
                return  # the client is gone
            status = status_of(ServerStopsError())
        except Exception as error:  # noqa: BLE001 the transport's last resort
            status = status_of(error)
        end_call(context, send, status)

    async def _send(self, answer: Message, context: grpc.ServicerContext, send: Send) -> None:
        sending = self._loop.run_in_executor(self._senders, send, answer)
        sent, _ = await asyncio.wait([sending], timeout=SEND_STALL_S)
        if not sent:
            context.cancel()  # type: ignore[no-untyped-call]
            raise asyncio.CancelledError
        if not context.is_active():
            raise asyncio.CancelledError

    def _cancel_soon(self, task: asyncio.Task[None]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and the task with it
            self._loop.call_soon_threadsafe(task.cancel)

    def _cancel_all(self) -> None:
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        self._loop.create_task(self._stop_when_all_ended()).add_done_callback(
            lambda _: self._loop.stop()
        )

    async def _stop_when_all_ended(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class Transfer:
    """Counts the pieces of an upload or a download, to tell one that stands still."""

    def __init__(self) -> None:
        self.num_pieces = 0


async def _cancel_if_stalled(transfer: Transfer, context: grpc.ServicerContext) -> None:
    num_pieces_before = -1
    while num_pieces_before != transfer.num_pieces:
        num_pieces_before = transfer.num_pieces
        await asyncio.sleep(STALL_S)
    context.cancel()  # type: ignore[no-untyped-call]


def end_call(context: grpc.ServicerContext, send: Send, status: grpc.Status | None = None) -> None:
    """The end of a call whose handler gRPC does not wait for; without a status it went well."""
    if status is not None:
        context.set_trailing_metadata(status.trailing_metadata)
        context.set_code(status.code)
        context.set_details(status.details)
    send(None)
