"""HEAD, at every address that takes GET (RFC 9110, 9.3.2)."""

from contextlib import suppress
from http import HTTPMethod

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Answers HEAD with the status and the headers that GET would have, and ends the answer there.

    The last before the routes: who may ask was decided by the method that was sent, and the requests that are sent most do
    not come by here. So HEAD stands in no route and not in the description of the API.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != HTTPMethod.HEAD:
            await self._app(scope, receive, send)
            return

        async def send_head(start: Message) -> None:
            if "route" in as_get:
                scope["route"] = as_get["route"]  # for who counts requests by their addresses
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            # Out of whatever answers, before it reads a body that may be a large file or a stream without an end.
            raise _HeadSentError

        # A range is of a body (RFC 9110, 14.2: to be ignored).
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        as_get = {**scope, "method": HTTPMethod.GET.value, "headers": headers}
        with suppress(_HeadSentError):
            await self._app(as_get, receive, send_head)


class _HeadSentError(Exception):
    """There is nothing more to send; it goes through every `finally` on its way."""
