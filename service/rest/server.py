"""The REST server process."""

import logging

import uvicorn

from service.rest.app import create_app
from service.settings import Settings, check_bind

SHUTDOWN_GRACE_S = 5


def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises UNSAFE_BIND for an open address without API keys."""
    check_bind(settings.http_host, settings)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvicorn.run(
        create_app(settings),
        host=settings.http_host,
        port=settings.http_port,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
        server_header=False,
    )
