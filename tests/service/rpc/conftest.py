"""A real server on a free port, on the same operations as REST, and a real channel to it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from fastapi.testclient import TestClient

from service.operations import Operations, build_operations
from service.preflight.folder_signature import BUILTIN_FOLDER
from service.rest.app import create_app
from service.rpc.generated.driftgate.v1 import jobs_pb2_grpc
from service.rpc.server import Server, build_server
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from tests.service.rpc.stubs import Stubs


@pytest.fixture
def settings(settings_factory, sqlite_url, redis_url) -> Settings:
    return settings_factory(
        database_url=sqlite_url,
        broker_url=redis_url,
        grpc_port=0,
        # Nothing listens there, so a hub model is refused at once on every machine.
        hub_endpoint="http://127.0.0.1:9",
        hub_cache_dir="/nonexistent",
    )


@pytest.fixture
def job_store(settings: Settings) -> Iterator[JobStore]:
    database = Database(settings.resolved_database_url())
    yield JobStore(database)
    database.close()


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    operations = build_operations(settings)
    yield operations
    operations.close()


@pytest.fixture
def exit_stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_server(exit_stack: ExitStack) -> Callable[[Operations, Settings], tuple[Server, Stubs]]:
    """A running server and the services on a channel to it; both end with the test."""

    def start(operations: Operations, settings: Settings) -> tuple[Server, Stubs]:
        server, port = build_server(operations, settings)
        server.start()
        exit_stack.callback(lambda: server.stop(grace=None).wait())
        channel = exit_stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
        return server, Stubs(channel)

    return start


@pytest.fixture
def stubs(start_server, operations: Operations, settings: Settings) -> Stubs:
    return start_server(operations, settings)[1]


@pytest.fixture
def channel(stubs: Stubs) -> grpc.Channel:
    return stubs.channel


@pytest.fixture
def stub(stubs: Stubs) -> jobs_pb2_grpc.JobServiceStub:
    return stubs.jobs


@pytest.fixture
def rest(settings: Settings) -> Iterator[TestClient]:
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def other_vocabulary(settings: Settings) -> str:
    """The reference of the built-in teacher with two token ids swapped."""
    folder = settings.resolved_model_root() / "other-vocabulary"
    folder.mkdir(parents=True)
    for path in (BUILTIN_FOLDER / "arithmetic-teacher").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["1"], vocabulary["2"] = vocabulary["2"], vocabulary["1"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder.name
