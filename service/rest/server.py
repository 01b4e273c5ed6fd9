"""The REST server process."""

import asyncio
import logging
import socket
import sys
from contextlib import suppress

import uvicorn

from service.change_tailer import ChangeTailer
from service.rest.app import create_app
from service.rest.bounded_heads import BoundedHeads
from service.settings import Settings

SHUTDOWN_GRACE_S = 5
STARTUP_FAILURE = 3  # the exit status by which uvicorn says that it could not listen


def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises UNSAFE_BIND for an open address without API keys."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = create_app(settings)
    app.state.operations.authenticator.check_bind(settings.http_host)
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        http=BoundedHeads,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
        server_header=False,
        access_log=False,  # a line for every poll would cost a tenth of its answer
    )
    server = RestServer(config, tailer=app.state.operations.tailer)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class RestServer(uvicorn.Server):
    """Ends open streams and long polls before it waits for their connections.

    uvicorn tells the application that it stops only when every connection has ended.
    """

    def __init__(self, config: uvicorn.Config, *, tailer: ChangeTailer) -> None:
        super().__init__(config)
        self._tailer = tailer

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self._tailer.close)
        await super().shutdown(sockets)
