"""Both transports on one database, for cases that are asked of each."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from fastapi.testclient import TestClient
from sqlalchemy import text

from service.jobs.api_keys import ApiKeyRequest
from service.operations import Operations, build_operations
from service.rest.app import create_app
from service.rpc.server import build_server
from service.settings import Settings
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database
from tests.service.rpc.called_methods import CalledMethods
from tests.service.rpc.stubs import Stubs

FEW_PROBLEMS = {"source": "arithmetic", "num_problems": 8}
SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": FEW_PROBLEMS},
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128, "top_p": 0.9},
    "evaluation": {
        "benchmarks": [{"name": "chains", "problems": FEW_PROBLEMS}],
        "max_response_tokens": 128,
    },
}


@dataclass
class World:
    """A server of each kind with operations of its own, as in production, on one database."""

    settings: Settings
    rest: TestClient
    stubs: Stubs
    operations: Operations
    database: Database
    called: CalledMethods
    _made: dict[Callable[["World"], str], str] = field(default_factory=dict)

    def same(self, make: "Callable[[World], str]") -> str:
        """What `make` made, the same for both transports."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def same_job(self) -> str:
        """The id of a job that waits."""
        return self.same(World.job)

    def key(self, scope: str = "write", **limits: int) -> "Key":
        """A new key of this server."""
        request = ApiKeyRequest(name="a test", scope=scope, **limits)
        return Key(f"Bearer {ApiKeyStore(self.database).create(request).key}")

    def job(self, **changes: object) -> str:
        """The id of a new job."""
        answer = self.rest.post("/v1/jobs", json=SPEC | changes)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def break_job(self, job_id: str) -> str:
        """As a defect of the service would leave it: with a spec that is none."""
        with self.database.transaction() as session:
            session.execute(
                text('UPDATE jobs SET spec = \'{"kind": "distillation"}\' WHERE id = :id'),
                {"id": job_id},
            )
        return job_id

    def dataset(self, content: bytes) -> str:
        return self.operations.datasets.upload([content]).id

    def file(self, path: str, content: str) -> str:
        """A file below the dataset root."""
        place = self.settings.resolved_dataset_root() / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
        return path

    def model(self, name: str, files: dict[str, str]) -> str:
        """A folder below the model root."""
        folder: Path = self.settings.resolved_model_root() / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_text(content)
        return name


@dataclass(frozen=True)
class Key:
    """What a client sends."""

    authorization: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": self.authorization}

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", self.authorization),)


def open_world(settings: Settings, stack: ExitStack) -> World:
    """Ends with the stack."""
    operations = build_operations(settings)
    stack.callback(operations.close)
    server, port = build_server(operations, settings)
    server.start()
    stack.callback(lambda: server.stop(grace=None).wait())
    channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
    rest = stack.enter_context(
        TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False)
    )
    database = Database(settings.resolved_database_url())
    stack.callback(database.close)
    called = CalledMethods()
    stubs = Stubs(grpc.intercept_channel(channel, called))
    return World(settings, rest, stubs, operations, database, called)
