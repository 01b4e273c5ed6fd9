"""Appending and reading metrics, beside MLflow's server where it is installed."""

import http.client
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.api.jobs_part import SPEC
from benchmarks.api.processes import free_port, postgres, running
from benchmarks.api.requests import HttpClient, cost_of
from benchmarks.api.rows import Row, row
from service.jobs.catalog import Metric
from service.jobs.metric_queries import MetricQuery
from service.jobs.parsing import parse_spec
from service.jobs.records import UpdateRecord
from service.operations import Operations, build_operations
from service.settings import Settings
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from service.storage.sessions import Database, migrate

NUM_METRICS = 20
NUM_UPDATES_PER_APPEND = 50  # × 20 metrics = 1,000 points
NUM_UPDATES_READ = 100_000
MAX_POINTS = 400
NUM_READS = 300
MLFLOW_EXECUTABLE = Path(".venv-bench-api/bin/mlflow")


def metric_rows(folder: Path, *, rounds: int, num_requests: int) -> list[Row]:
    rows = []
    sqlite_url = f"sqlite:///{folder / 'metrics.db'}"
    sqlite_append_ms = _append_cpu_ms(sqlite_url, num_appends=rounds * num_requests // 10)
    rows.append(row("append.1000.sqlite", sqlite_append_ms, "CPU ms"))
    with postgres() as url:
        append_ms = _append_cpu_ms(url, num_appends=rounds * num_requests // 10)
        rows.append(row("append.1000", append_ms, "CPU ms"))
        rows += _read_rows(url, folder)
    if MLFLOW_EXECUTABLE.exists():
        mlflow_ms = _mlflow_append_cpu_ms(folder, rounds=rounds, num_requests=num_requests // 10)
        rows.append(row("mlflow.append.1000.sqlite", mlflow_ms, "server CPU ms"))
        rows.append(row("mlflow.append.speedup", mlflow_ms / sqlite_append_ms, "×"))
    return rows


def _append_cpu_ms(database_url: str, *, num_appends: int) -> float:
    """CPU of this process per append, as a worker has it: the fence, the rows, the progress of the job."""
    migrate(database_url)
    database = Database(database_url)
    lease, store = _running_job(database), ResultStore(database)
    costs = []
    for number in range(num_appends):
        records = _records(1 + number * NUM_UPDATES_PER_APPEND, NUM_UPDATES_PER_APPEND)
        before = time.process_time()
        store.append_updates(lease, records)
        costs.append((time.process_time() - before) * 1000)
    database.close()
    # The mean: every sixth append or so also writes chunks, and that is part of the price.
    return statistics.mean(costs[num_appends // 10 :])


def _read_rows(database_url: str, folder: Path) -> list[Row]:
    database = Database(database_url)
    lease, store = _running_job(database), ResultStore(database)
    for first in range(1, NUM_UPDATES_READ + 1, 256):
        store.append_updates(lease, _records(first, min(256, NUM_UPDATES_READ + 1 - first)))
    database.close()
    settings = Settings(
        data_dir=folder / "var", database_url=database_url, broker_url="redis://127.0.0.1:9/0"
    )
    operations = build_operations(settings)
    costs = [_read_cost_ms(operations, lease.job_id) for _ in range(NUM_READS)]
    operations.close()
    return [
        row("downsample.p99", float(np.percentile(costs, 99)), "CPU ms"),
        row("downsample.median", statistics.median(costs), "CPU ms"),
    ]


def _read_cost_ms(operations: Operations, job_id: str) -> float:
    before = time.thread_time()
    answer = operations.query_metrics(
        MetricQuery(job_ids=(job_id,), keys=(Metric.LOSS,), max_points=MAX_POINTS)
    )
    answer.model_dump_json()
    cost_ms = (time.thread_time() - before) * 1000
    assert len(answer.series[0].value) >= MAX_POINTS // 2
    return cost_ms


def _running_job(database: Database) -> Lease:
    jobs = JobStore(database)
    jobs.create(parse_spec(SPEC | {"steps": 1_000_000}), warnings=(), queue="benchmark")
    claim = jobs.claim(queue="benchmark", owner="benchmark", lease_s=3600)
    assert claim is not None
    jobs.start_running(claim.lease)
    ResultStore(database).resume_from(claim.lease, update=0)
    return claim.lease


def _records(first: int, count: int) -> list[UpdateRecord]:
    metrics = list(Metric)[:NUM_METRICS]
    at = datetime.now(UTC)
    return [
        UpdateRecord(
            step=update,
            update=update,
            metrics={metric: update * 0.001 + index for index, metric in enumerate(metrics)},
            drift_by_block=(),
            at=at,
        )
        for update in range(first, first + count)
    ]


def _mlflow_append_cpu_ms(folder: Path, *, rounds: int, num_requests: int) -> float:
    """MLflow's log-batch of as many points, its largest, over its REST API on SQLite."""
    port = free_port()
    command = [
        *(str(MLFLOW_EXECUTABLE.resolve()), "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"),
        *("--default-artifact-root", str(folder / "mlflow-artifacts")),
    ]
    with running(command, port=port, environment={}, log=folder / "mlflow.log") as server:
        client = _mlflow_client(port)
        created = client("runs/create", {"experiment_id": "0", "start_time": 0})
        run_id = created["run"]["info"]["run_id"]

        def append(number: int) -> None:
            first = (number + 1_000) * NUM_UPDATES_PER_APPEND
            points = [
                {"key": f"m{index}", "value": update * 0.001, "step": update, "timestamp": update}
                for update in range(first, first + NUM_UPDATES_PER_APPEND)
                for index in range(NUM_METRICS)
            ]
            client("runs/log-batch", {"run_id": run_id, "metrics": points})

        return cost_of(server, lambda: append, rounds=rounds, num_requests=num_requests).cpu_ms


def _mlflow_client(port: int) -> Callable[[str, dict[str, object]], dict]:
    """It accepts connections before it answers, so the first request is tried for a while."""
    client = HttpClient(port)
    deadline = time.monotonic() + 60
    while True:
        try:
            client.request("GET", "/health")
            break
        except (http.client.HTTPException, OSError, RuntimeError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
            client = HttpClient(port)

    def call(name: str, body: dict[str, object]) -> dict:
        answer, _ = client.request(
            "POST",
            f"/api/2.0/mlflow/{name}",
            body=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        return json.loads(answer)

    return call
