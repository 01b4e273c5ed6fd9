"""A request's body for a thread that asks for one piece after the other, while the loop stays free."""

import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.from_thread
import anyio.to_thread
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from service.errors import DriftgateError, ErrorCode, Violation
from service.rest.problems import problem_response

IDLE_TIMEOUT_S = 60.0
MAX_BODIES = 8  # of one process; each takes a thread, and up to 20 MB beside its file

_slots = threading.BoundedSemaphore(MAX_BODIES)


async def answer_streamed(
    request: Request, answer: Callable[[Iterator[bytes]], Response]
) -> Response:
    """What `answer` makes of the pieces of the body, in a thread beside those of the other endpoints.

    A piece is asked of the client only when `answer` wants it: nothing piles up. Inside it, a client
    that sends nothing for a minute raises INVALID_ARGUMENT, and one that goes away starlette's
    ClientDisconnect. Answers QUOTA_EXCEEDED where too many bodies are being read.
    """
    if not _slots.acquire(blocking=False):
        return _refused(_all_taken())
    try:
        return await _answer_in_thread(request, answer)
    except DriftgateError as error:
        return _refused(error)
    except ClientDisconnect:
        return Response(status_code=400)  # to nobody
    finally:
        _slots.release()


def _refused(error: DriftgateError) -> Response:
    """The rest of the body is not read."""
    return problem_response(error, headers={"Connection": "close"})


async def _answer_in_thread(
    request: Request, answer: Callable[[Iterator[bytes]], Response]
) -> Response:
    stream = request.stream()

    async def next_piece() -> bytes | None:
        try:
            with anyio.fail_after(IDLE_TIMEOUT_S):
                return await anext(stream, None)
        except TimeoutError as error:
            raise _nothing_comes() from error

    def pieces() -> Iterator[bytes]:
        while (piece := anyio.from_thread.run(next_piece)) is not None:
            yield piece

    # The other endpoints share a limited number of threads, which slow clients must not use up.
    return await anyio.to_thread.run_sync(
        lambda: answer(pieces()), limiter=anyio.CapacityLimiter(1)
    )


def _all_taken() -> DriftgateError:
    allowed = f"at most {MAX_BODIES} uploads at once"
    return DriftgateError(
        ErrorCode.QUOTA_EXCEEDED,
        f"This server takes {allowed}, and as many are under way. Try again when one has ended.",
        [Violation("body", "one more upload", allowed)],
    )


def _nothing_comes() -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"Nothing more of the body came for {IDLE_TIMEOUT_S:g} seconds. Nothing was kept; send it again.",
        [Violation("body", "no more bytes", "a body that comes without such pauses")],
    )
