"""A bound on request bodies that counts what arrives, whatever the headers promise."""

import asyncio
from collections.abc import Collection

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import DriftgateError, ErrorCode, Violation
from service.rest.problems import problem_response

IDLE_TIMEOUT_S = 60.0


class BodyLimit:
    """Reads the whole body, refuses it beyond the limit, and hands it on in one piece.

    One that says beforehand that it is too long is not read, and one that stops coming is not waited for.

    The endpoints parse whole bodies anyway, so nothing is held that would not be. Those of `streamed`,
    each a method and a path, read their body in pieces and have a limit of their own.
    """

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, streamed: Collection[tuple[str, str]] = ()
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) in self._streamed:
            await self._app(scope, receive, send)
            return
        if _promised_bytes(scope) > self._max_bytes:
            await _refused(self._refusal())(scope, receive, send)
            return
        body = bytearray()
        message: Message = {"more_body": True}
        while message.get("more_body"):
            try:
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    message = await receive()
            except TimeoutError:
                await _refused(_nothing_comes())(scope, receive, send)
                return
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                await _refused(self._refusal())(scope, receive, send)
                return
        await self._app(scope, body_again(bytes(body), receive), send)

    def _refusal(self) -> DriftgateError:
        allowed = f"at most {self._max_bytes:,} bytes"
        return DriftgateError(
            ErrorCode.PAYLOAD_TOO_LARGE,
            f"The request body has more than {self._max_bytes:,} bytes. Upload large problem sets "
            "(POST /v1/datasets), or raise DRIFTGATE_MAX_BODY_BYTES.",
            [Violation("body", f"more than {self._max_bytes:,} bytes", allowed)],
        )


def body_again(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then whatever the server says next."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next


def _promised_bytes(scope: Scope) -> int:
    """What Content-Length says; zero without one, for it may be left out."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:19])
    return 0


def _refused(error: DriftgateError) -> Response:
    """The rest of the body is not read."""
    return problem_response(error, headers={"Connection": "close"})


def _nothing_comes() -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"Nothing more of the body came for {IDLE_TIMEOUT_S:g} seconds. Nothing was done; send it again.",
        [Violation("body", "no more bytes", "a body that comes without such pauses")],
    )
