"""A real server on a free port, on the same operations as REST, and a real channel to it."""

import json
from collections.abc import Callable, Iterator

import grpc
import pytest

from service.operations import Operations, build_operations
from service.preflight.models import BUILTIN_FOLDER
from service.rpc.generated.driftgate.v1 import jobs_pb2_grpc
from service.rpc.server import build_server
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.sessions import Database


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
def connect() -> Iterator[Callable[[Operations, Settings], grpc.Channel]]:
    """Starts a server and gives a channel to it; both end with the test."""
    servers, channels = [], []

    def start(operations: Operations, settings: Settings) -> grpc.Channel:
        server, port = build_server(operations, settings)
        server.start()
        servers.append(server)
        channels.append(grpc.insecure_channel(f"127.0.0.1:{port}"))
        return channels[-1]

    yield start
    for channel in channels:
        channel.close()
    for server in servers:
        server.stop(grace=None).wait()


@pytest.fixture
def channel(connect, operations: Operations, settings: Settings) -> grpc.Channel:
    return connect(operations, settings)


@pytest.fixture
def stub(channel: grpc.Channel) -> jobs_pb2_grpc.JobServiceStub:
    return jobs_pb2_grpc.JobServiceStub(channel)


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
