"""The REST API on a port of this machine, and clients of it."""

from collections.abc import Iterator

import pytest

from service.client import Client
from tests.service.running_service import RunningService, running_service


@pytest.fixture
def rest_service(settings_factory, sqlite_url, unused_port) -> Iterator[RunningService]:
    """On a database of its own; no broker and no worker run."""
    settings = settings_factory(
        database_url=sqlite_url, webhook_allow_private=True, change_poll_s=0.02
    )
    with running_service(settings, unused_port) as service:
        yield service


@pytest.fixture
def rest_client(rest_service) -> Iterator[Client]:
    with Client(rest_service.url) as client:
        yield client
