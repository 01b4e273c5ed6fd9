"""Connections that bound the head of a request, its line and its headers, in bytes and in time.

uvicorn reads a head before the application sees anything of the request, and has no limit for it.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import DriftgateError, ErrorCode, Violation
from service.rest.problems import problem_response

MAX_HEAD_BYTES = 65_536
# Also of a connection that sends nothing at all. Between two requests uvicorn has a limit of its own.
HEAD_TIMEOUT_S = 60.0


class BoundedHeads(HttpToolsProtocol):
    """What is too long is refused when the piece has come that passes the bound: one of the size of a read is harmless."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = True
        self._num_head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_head or self.transport.is_closing():
            return
        self._num_head_bytes += len(data)
        if self._num_head_bytes > MAX_HEAD_BYTES:
            self._refuse(_too_long())
        elif self._deadline is None:
            self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._num_head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(
            DriftgateError(
                ErrorCode.INVALID_ARGUMENT,
                f"{msg} Send HTTP/1.1 as RFC 9112 has it.",
                [Violation("request", "bytes that cannot be read", "HTTP/1.1")],
            )
        )

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: DriftgateError) -> None:
        self._end_head()
        if (
            self.cycle is None or self.cycle.response_complete
        ):  # else it would stand in the middle of an answer
            response = problem_response(error, headers={"Connection": "close"})
            head = [f"HTTP/1.1 {response.status_code} ".encode()]
            head += [name + b": " + value for name, value in response.raw_headers]
            self.transport.write(b"\r\n".join([*head, b"", bytes(response.body)]))
        self.transport.close()


def _too_long() -> DriftgateError:
    allowed = f"at most {MAX_HEAD_BYTES:,} bytes"
    return DriftgateError(
        ErrorCode.PAYLOAD_TOO_LARGE,
        f"The request line and the headers have more than {MAX_HEAD_BYTES:,} bytes.",
        [Violation("headers", f"more than {MAX_HEAD_BYTES:,} bytes", allowed)],
    )
