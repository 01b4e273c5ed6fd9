"""A stream that is read from something open, which is closed however the answer ends."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import anyio
import anyio.to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Closable(Protocol):
    def close(self) -> object: ...


class ClosingStream(StreamingResponse):
    """Closes `source` at the end, when the client goes, and where no piece was asked for because only the headers were."""

    def __init__(
        self,
        pieces: Iterable[bytes],
        *,
        source: Closable,
        status_code: int = 200,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(pieces, status_code=status_code, headers=headers, media_type=media_type)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._source.close)
