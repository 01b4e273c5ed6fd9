"""Create, get and 304 over REST and gRPC, beside the lean app."""

import json
import sys
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
from benchmarks.api.requests import Cost, HttpClient, cost_of
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


def job_rows(folder: Path, *, rounds: int, num_requests: int) -> list[Row]:
    rows = []
    with others_apart(), broker(folder) as broker_url:
        sqlite_url = f"sqlite:///{folder / 'jobs.db'}"
        migrate(sqlite_url)
        with driftgate(
            "api", database_url=sqlite_url, broker_url=broker_url, folder=folder
        ) as server:
            cost = _create_cost(server, rounds=rounds, num_requests=num_requests)
            rows += _cost_rows("create.sqlite", cost)
        with postgres() as url:
            migrate(url)
            with driftgate("api", database_url=url, broker_url=broker_url, folder=folder) as server:
                cost = _create_cost(server, rounds=rounds, num_requests=num_requests)
                rows += _cost_rows("create.postgres", cost)
                rows += _get_rows(server, rounds=rounds, num_requests=num_requests)
            with driftgate(
                "grpc", database_url=url, broker_url=broker_url, folder=folder
            ) as server:
                cost = _grpc_create_cost(server, rounds=rounds, num_requests=num_requests)
                rows += _cost_rows("create.grpc", cost)
        rows += _lean_rows(
            "sqlite", f"sqlite:///{folder / 'lean.db'}", folder, rounds, num_requests
        )
        with postgres() as url:
            lean_url = url.replace("postgresql://", "postgresql+psycopg://")
            rows += _lean_rows("postgres", lean_url, folder, rounds, num_requests)
    return rows


def _create_cost(server: ServerProcess, *, rounds: int, num_requests: int) -> Cost:
    client, body = HttpClient(server.port), json.dumps(SPEC).encode()

    def create(number: int) -> None:
        headers = JSON_HEADERS | {"idempotency-key": f"key-{number}"}
        client.request("POST", "/v1/jobs", body=body, headers=headers, expect=201)

    return cost_of(server, create, rounds=rounds, num_requests=num_requests)


def _get_rows(server: ServerProcess, *, rounds: int, num_requests: int) -> list[Row]:
    client, body = HttpClient(server.port), json.dumps(SPEC).encode()
    created, _ = client.request("POST", "/v1/jobs", body=body, headers=JSON_HEADERS, expect=201)
    path = f"/v1/jobs/{json.loads(created)['id']}"
    _, headers = client.request("GET", path)
    known = {"if-none-match": headers["etag"]}
    get = cost_of(
        server,
        lambda _: client.request("GET", path),
        rounds=rounds,
        num_requests=num_requests,
    )
    unchanged = cost_of(
        server,
        lambda _: client.request("GET", path, headers=known, expect=304),
        rounds=rounds,
        num_requests=num_requests,
    )
    return _cost_rows("get", get) + _cost_rows("get.304", unchanged)


def _grpc_create_cost(server: ServerProcess, *, rounds: int, num_requests: int) -> Cost:
    spec = spec_message(parse_spec(SPEC))
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = jobs_pb2_grpc.JobServiceStub(channel)

        def create(number: int) -> None:
            request = jobs_pb2.CreateJobRequest(spec=spec, request_id=f"grpc-{number}")
            assert stub.CreateJob(request, timeout=30).job.id

        return cost_of(server, create, rounds=rounds, num_requests=num_requests)


def _lean_rows(
    name: str, database_url: str, folder: Path, rounds: int, num_requests: int
) -> list[Row]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", "benchmarks.api.lean_app:app"),
        *("--port", str(port), "--no-access-log"),
    ]
    environment = {"LEAN_DATABASE_URL": database_url}
    with running(command, port=port, environment=environment, log=folder / "lean.log") as server:
        client, body = HttpClient(port), json.dumps(SPEC).encode()
        created = []

        def create(_number: int) -> None:
            answer, _ = client.request(
                "POST", "/v1/jobs", body=body, headers=JSON_HEADERS, expect=201
            )
            created.append(json.loads(answer)["id"])

        create_cost = cost_of(server, create, rounds=rounds, num_requests=num_requests)
        get_cost = cost_of(
            server,
            lambda _: client.request("GET", f"/v1/jobs/{created[0]}"),
            rounds=rounds,
            num_requests=num_requests,
        )
    return _cost_rows(f"lean.create.{name}", create_cost) + _cost_rows(f"lean.get.{name}", get_cost)


def _cost_rows(name: str, cost: Cost) -> list[Row]:
    return [
        row(name, cost.cpu_ms, "server CPU ms"),
        row(f"{name}.wall", cost.wall_ms, "client ms"),
    ]
