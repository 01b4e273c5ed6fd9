"""What the release before left behind, a job in the middle of its run included, goes on under this one.

`release_0002/` holds what that release itself wrote.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Boolean, DateTime, LargeBinary, MetaData, create_engine, insert, inspect
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.types import TypeEngine
from starlette.testclient import TestClient

from service.jobs.results import Job
from service.jobs.state import TERMINAL_STATES, JobState
from service.rest.app import create_app
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.sessions import Database, migrate, migrations_folder
from service.storage.tables import Table
from tests.worker.byte_model import save_byte_model

RECORDED = Path(__file__).parent / "release_0002"
REVISION = "0002"
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
IDEMPOTENCY_KEY = "sent-before-the-upgrade"
UPDATE_OF_CHECKPOINT, LAST_UPDATE_SEEN, NUM_UPDATES = 6, 12, 16


@pytest.fixture
def recorded() -> dict[str, list[dict[str, object]]]:
    """The rows by table, all of their times moved so that the lease ran out a minute ago."""
    rows = json.loads((RECORDED / "rows.json").read_text())
    expired_at = datetime.fromisoformat(rows["jobs"][0]["lease_expires_at"]).replace(tzinfo=UTC)
    delay = datetime.now(UTC) - timedelta(minutes=1) - expired_at
    for row in (row for table in rows.values() for row in table):
        for name in ("at", *(name for name in row if name.endswith("_at"))):
            if row.get(name) is not None:
                row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=UTC) + delay
    return rows


@pytest.fixture
def settings(empty_database_url: str, redis_url: str, tmp_path: Path, recorded) -> Settings:
    """Of a deployment of the release before, with its database and its artifacts."""
    settings = Settings(
        data_dir=tmp_path / "var", database_url=empty_database_url, broker_url=redis_url
    )
    artifact_root = settings.resolved_artifact_root()
    shutil.copytree(RECORDED / "artifacts", artifact_root)
    for checkpoint in recorded["checkpoints"]:
        checkpoint["uri"] = str(artifact_root / checkpoint["uri"])
    for name in ("bytes-student", "bytes-teacher"):
        save_byte_model(settings.resolved_model_root() / name)
    migrate(empty_database_url, revision=REVISION)
    on_database(empty_database_url, lambda connection: insert_rows(connection, recorded))
    return settings


@pytest.fixture
def commands(settings: Settings, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Reconciler and worker of this release on the upgraded database."""
    migrate(settings.resolved_database_url())
    environment = os.environ | {
        "DRIFTGATE_DATA_DIR": str(settings.data_dir),
        "DRIFTGATE_DATABASE_URL": settings.resolved_database_url(),
        "DRIFTGATE_BROKER_URL": settings.resolved_broker_url(),
        "DRIFTGATE_POLL_INTERVAL_S": "0.2",
        "DRIFTGATE_RECONCILE_INTERVAL_S": "0.1",
        "OMP_NUM_THREADS": "1",
    }
    processes = []
    # The reconciler waits for one lease before it takes any; the worker's may last on a busy machine.
    for name, lease_s in (("reconciler", "1"), ("worker", "90")):
        with (tmp_path / f"{name}.log").open("wb") as log:
            arguments = [sys.executable, "-P", "-m", "service.cli", name]
            process = subprocess.Popen(
                arguments,
                env=environment | {"DRIFTGATE_LEASE_S": lease_s},
                stdout=log,
                stderr=log,
            )
        processes.append(process)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_a_job_that_the_release_before_left_in_mid_run_is_finished(
    settings: Settings, recorded, commands, wait_until
) -> None:
    (job_row,) = recorded["jobs"]
    database = Database(settings.resolved_database_url())
    jobs = JobStore(database)

    def has_ended() -> bool:
        assert [process.poll() for process in commands] == [None, None], "a command ended by itself"
        return jobs.get(job_row["id"]).state in TERMINAL_STATES

    wait_until(has_ended, timeout_s=120)
    database.close()
    for process in commands:
        process.send_signal(signal.SIGTERM)

    with TestClient(create_app(settings), base_url="http://127.0.0.1:8400") as client:
        address = f"/v1/jobs/{job_row['id']}"
        done = Job.model_validate(client.get(address).raise_for_status().json())
        assert (done.state, done.attempt, done.failure) == (JobState.SUCCEEDED, 2, None)
        assert (done.progress.step, done.progress.update) == (8, NUM_UPDATES)
        # Found by what only later tables hold, too.
        (listed,) = client.get("/v1/jobs", params={"label": "team=upgrade"}).json()["jobs"]
        assert listed["id"] == done.id

        events = client.get(f"{address}/events").json()["events"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert [event["message"] for event in events if event["type"] == "training_started"] == [
            "Training starts after step 0, update 0.",
            "Training starts after step 3, update 6.",
        ]

        metrics = client.get(f"{address}/metrics", params={"names": "train/loss"}).json()
        assert metrics["update"] == list(range(1, NUM_UPDATES + 1))
        losses = metrics["columns"]["train/loss"]
        recorded_losses = [row["metric_values"]["train/loss"] for row in recorded["update_metrics"]]
        assert len(recorded_losses) == LAST_UPDATE_SEEN
        assert losses[:UPDATE_OF_CHECKPOINT] == recorded_losses[:UPDATE_OF_CHECKPOINT]
        # Of the updates that had no checkpoint, those of this release count: its teacher is another.
        assert losses[UPDATE_OF_CHECKPOINT] != recorded_losses[UPDATE_OF_CHECKPOINT]

        evaluations = client.get(f"{address}/results").json()["evaluations"]
        assert [(each["stage"], each["attempt"]) for each in evaluations] == [
            ("baseline", 1),
            ("final", 2),
        ]
        samples = client.get(f"{address}/samples", params={"stage": "baseline"}).json()["samples"]
        assert len(samples) == len(recorded["evaluation_samples"])
        checkpoints = client.get(f"{address}/checkpoints").json()["checkpoints"]
        assert [each["update"] for each in checkpoints] == [NUM_UPDATES, LAST_UPDATE_SEEN]

        again = client.post(
            "/v1/jobs", json=job_row["spec"], headers={"Idempotency-Key": IDEMPOTENCY_KEY}
        )
        assert (again.json()["id"], again.json()["state"]) == (done.id, "succeeded")
    assert all(process.wait(timeout=30) in {0, -signal.SIGTERM} for process in commands)


def test_the_migrations_go_down_to_the_release_before_and_up_again_with_its_rows(
    settings: Settings, recorded
) -> None:
    url = settings.resolved_database_url()
    before = on_database(url, schema)

    migrate(url)
    newest = on_database(url, schema)
    assert newest.keys() == {*Table.metadata.tables, "alembic_version"}
    downgrade(url)

    assert on_database(url, schema) == before
    assert on_database(url, count_rows) == {name: len(rows) for name, rows in recorded.items()}
    migrate(url)
    assert on_database(url, schema) == newest


def on_database(url: str, act):
    database = Database(url)
    try:
        with database.write() as connection:
            return act(connection)
    finally:
        database.close()


def insert_rows(connection: Connection, rows_by_table: dict[str, list[dict[str, object]]]) -> None:
    tables = MetaData()
    tables.reflect(connection)
    for table in tables.sorted_tables:
        for row in rows_by_table.get(table.name, ()):
            values = {name: as_stored(row[name], table.c[name].type) for name in row}
            connection.execute(insert(table), values)


def as_stored(value: object, column_type: TypeEngine) -> object:
    match column_type, value:
        case LargeBinary(), str():
            return base64.b64decode(value)
        case DateTime(timezone=False), datetime():
            return value.replace(tzinfo=None)
        case Boolean(), int():
            return bool(value)
        case _:
            return value


def count_rows(connection: Connection) -> dict[str, int]:
    """Of every table that has rows."""
    counts = {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        for table in inspect(connection).get_table_names()
        if table != "alembic_version"
    }
    return {table: count for table, count in counts.items() if count}


def schema(connection: Connection) -> dict[str, tuple[object, ...]]:
    """Columns, keys and indexes by table."""
    inspector = inspect(connection)
    return {
        table: (
            sorted(
                (each["name"], str(each["type"]), each["nullable"])
                for each in inspector.get_columns(table)
            ),
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted(str(each["constrained_columns"]) for each in inspector.get_foreign_keys(table)),
            sorted(each["name"] for each in inspector.get_indexes(table)),
        )
        for table in inspector.get_table_names()
    }


def downgrade(url: str) -> None:
    """To the release before, in one transaction.

    SQLite drops a column by making the table anew, which works only where it checks no foreign keys: so in
    connections that are not `Database`'s.
    """
    engine = create_engine(make_url(url).set(drivername=DRIVERS[make_url(url).drivername]))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(migrations_folder()))
        config.attributes["connection"] = connection
        command.downgrade(config, REVISION)
    engine.dispose()
