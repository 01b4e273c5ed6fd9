"""Create, get and 304 over REST and gRPC, beside the lean app."""

import itertools
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks.api.processes import (
    ServerProcess,
    broker,
    driftgate,
    free_port,
    others_apart,
    postgres,
    running,
)
from benchmarks.api.requests import Connect, HttpClient, cost_of
from benchmarks.api.rows import Row, row
from service.jobs.parsing import parse_spec
from service.rpc.convert import spec_message
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from service.storage.sessions import migrate

SPEC = {
    "name": "benchmark",
    "labels": {"team": "maths", "run": "7"},
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 2000}},
    "objective": {"type": "teacher_topk", "k": 4},
    "gate": {"granularity": "block", "block_size": 16},
    "steps": 30,
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128},
    "evaluation": {
        "benchmarks": [{"name": "digits", "problems": {"source": "arithmetic"}}],
        "max_response_tokens": 128,
    },
}
JSON_HEADERS = {"content-type": "application/json"}


# Enough that a next request always waits.
BUSY_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked: of a server that waits for each request, and again of a busy one."""

    rounds: int
    num_requests: int

    def rows(self, name: str, server: ServerProcess, connect: Connect) -> list[Row]:
        waiting, busy = (
            cost_of(
                server,
                connect,
                rounds=self.rounds,
                num_requests=self.num_requests,
                num_connections=num_connections,
            )
            for num_connections in (1, BUSY_CONNECTIONS)
        )
        return [
            row(name, busy.cpu_ms, "server CPU ms"),
            row(f"{name}.waiting", waiting.cpu_ms, "server CPU ms"),
            row(f"{name}.waiting.wall", waiting.wall_ms, "client ms"),
        ]


def job_rows(folder: Path, *, rounds: int, num_requests: int) -> list[Row]:
    load, rows = Load(rounds, num_requests), []
    with others_apart(), broker(folder) as broker_url:
        sqlite_url = f"sqlite:///{folder / 'jobs.db'}"
        migrate(sqlite_url)
        with driftgate(
            "api", database_url=sqlite_url, broker_url=broker_url, folder=folder
        ) as server:
            rows += load.rows("create.sqlite", server, _creator(server))
        with postgres() as url:
            migrate(url)
            with driftgate("api", database_url=url, broker_url=broker_url, folder=folder) as server:
                rows += load.rows("create.postgres", server, _creator(server))
                path, etag = _created_job(server)
                known = {"if-none-match": etag}
                rows += load.rows("get", server, _getter(server, path))
                rows += load.rows(
                    "get.304", server, _getter(server, path, headers=known, expect=304)
                )
            with driftgate(
                "grpc", database_url=url, broker_url=broker_url, folder=folder
            ) as server:
                rows += load.rows("create.grpc", server, _grpc_creator(server))
        rows += _lean_rows("sqlite", f"sqlite:///{folder / 'lean.db'}", folder, load)
        with postgres() as url:
            lean_url = url.replace("postgresql://", "postgresql+psycopg://")
            rows += _lean_rows("postgres", lean_url, folder, load)
    return rows


def _creator(server: ServerProcess) -> Connect:
    body, keys = json.dumps(SPEC).encode(), itertools.count()

    def connect() -> Callable[[int], object]:
        client = HttpClient(server.port)

        def create(_number: int) -> None:
            headers = JSON_HEADERS | {"idempotency-key": f"key-{next(keys)}"}
            client.request("POST", "/v1/jobs", body=body, headers=headers, expect=201)

        return create

    return connect


def _created_job(server: ServerProcess) -> tuple[str, str]:
    """Path and entity tag of a new job."""
    client, body = HttpClient(server.port), json.dumps(SPEC).encode()
    created, _ = client.request("POST", "/v1/jobs", body=body, headers=JSON_HEADERS, expect=201)
    path = f"/v1/jobs/{json.loads(created)['id']}"
    _, headers = client.request("GET", path)
    return path, headers["etag"]


def _getter(
    server: ServerProcess,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    expect: int = 200,
) -> Connect:
    def connect() -> Callable[[int], object]:
        client = HttpClient(server.port)
        return lambda _number: client.request("GET", path, headers=headers, expect=expect)

    return connect


def _grpc_creator(server: ServerProcess) -> Connect:
    spec, keys = spec_message(parse_spec(SPEC)), itertools.count()

    def connect() -> Callable[[int], object]:
        channel = grpc.insecure_channel(
            f"127.0.0.1:{server.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        stub = jobs_pb2_grpc.JobServiceStub(channel)

        def create(_number: int) -> None:
            request = jobs_pb2.CreateJobRequest(spec=spec, request_id=f"grpc-{next(keys)}")
            assert stub.CreateJob(request, timeout=30).job.id

        return create

    return connect


def _lean_rows(name: str, database_url: str, folder: Path, load: Load) -> list[Row]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", "benchmarks.api.lean_app:app"),
        *("--port", str(port), "--no-access-log"),
    ]
    environment = {"LEAN_DATABASE_URL": database_url}
    with running(command, port=port, environment=environment, log=folder / "lean.log") as server:
        rows = load.rows(f"lean.create.{name}", server, _creator(server))
        body = json.dumps(SPEC).encode()
        created, _ = HttpClient(port).request(
            "POST", "/v1/jobs", body=body, headers=JSON_HEADERS, expect=201
        )
        path = f"/v1/jobs/{json.loads(created)['id']}"
        return rows + load.rows(f"lean.get.{name}", server, _getter(server, path))
