import asyncio
from contextlib import nullcontext

import pytest

from service.rest import event_stream
from service.rest.event_stream import EventStreamResponse

SCOPE = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.3"}}


@pytest.fixture
def endless():
    """Chunks without an end, which say whether they were closed."""
    closed = []

    async def chunks():
        try:
            while True:
                yield b": more\n\n"
        finally:
            closed.append(True)

    return chunks(), closed


async def never():
    await asyncio.Event().wait()


async def take_the_head_only(message):
    if message["type"] == "http.response.body":
        await never()


def test_a_client_that_reads_nothing_is_given_up(endless, monkeypatch):
    monkeypatch.setattr(event_stream, "SEND_TIMEOUT_S", 0.05)
    chunks, closed = endless

    async def answer():
        async with asyncio.timeout(5):
            await EventStreamResponse(chunks, while_accepted=nullcontext())(
                SCOPE, never, take_the_head_only
            )

    asyncio.run(answer())
    assert closed == [True]


def test_what_a_stream_reads_from_is_closed_when_the_client_goes(endless):
    chunks, closed = endless

    async def gone():
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def answer():
        async with asyncio.timeout(5):
            await EventStreamResponse(chunks, while_accepted=nullcontext())(
                SCOPE, gone, take_the_head_only
            )

    asyncio.run(answer())
    assert closed == [True]


def test_what_a_stream_reads_from_is_closed_when_the_server_cancels_it(endless):
    chunks, closed = endless

    async def answer():
        answering = asyncio.create_task(
            EventStreamResponse(chunks, while_accepted=nullcontext())(
                SCOPE, never, take_the_head_only
            )
        )
        await asyncio.sleep(0.05)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        return answering.cancelled()

    assert asyncio.run(answer()) is True
    assert closed == [True]
