"""Server-sent events over the subscriptions of the tailer.

The page of the WHATWG standard: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing

from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from service.errors import DriftgateError, ErrorCode
from service.stream_reads import EventSubscription, FeedSubscription
from service.stream_subscriptions import StreamEnd

RECONNECT_AFTER_MS = 2000
# Of a client that is connected and reads nothing.
SEND_TIMEOUT_S = 60.0
HEARTBEAT = format_sse_event(comment="heartbeat")


class EventStreamResponse(StreamingResponse):
    """Closes what it reads from in every case: at the end, when the client goes, when the server stops."""

    media_type = "text/event-stream"

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        while_accepted: AbstractAsyncContextManager[None],
    ) -> None:
        """while_accepted: raises UNAUTHENTICATED when the stream is to end."""
        # nginx would hold events back.
        super().__init__(chunks, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._chunks = chunks
        self._while_accepted = while_accepted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_in_time(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send(message)

        async with aclosing(self._chunks):
            try:
                async with self._while_accepted:
                    await super().__call__(scope, receive, send_in_time)
            except TimeoutError:
                pass
            except DriftgateError as error:
                if error.code is not ErrorCode.UNAUTHENTICATED or not has_begun:
                    raise
                # Why it ends its client is told when it comes back.
                await send_in_time({"type": "http.response.body", "body": b""})


async def job_events(subscription: EventSubscription) -> AsyncGenerator[bytes, None]:
    """One event each, its seq as the id; `end` once the job will have no more."""
    yield format_sse_event(retry=RECONNECT_AFTER_MS)
    async with subscription:
        async for events in subscription:
            yield (
                HEARTBEAT
                if not events
                else b"".join(
                    format_sse_event(
                        event=each.type, data_str=each.model_dump_json(), id=str(each.seq)
                    )
                    for each in events
                )
            )
    if subscription.end in (StreamEnd.JOB_ENDED, StreamEnd.JOB_DELETED):
        yield format_sse_event(event="end", data_str=json.dumps({"reason": subscription.end}))


async def job_changes(subscription: FeedSubscription, *, token: str) -> AsyncGenerator[bytes, None]:
    """One `changed` each, its token as the id; the token at the start is the id until the first of them."""
    yield format_sse_event(retry=RECONNECT_AFTER_MS, id=token)
    async with subscription:
        async for changes in subscription:
            yield (
                HEARTBEAT
                if not changes
                else b"".join(
                    format_sse_event(
                        event="changed", data_str=each.change.model_dump_json(), id=each.token
                    )
                    for each in changes
                )
            )
