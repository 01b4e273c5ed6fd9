"""Whether the thousandth page of a million jobs costs what the first one does."""

import json
import statistics
import time
from pathlib import Path

from sqlalchemy import text

from benchmarks.api.jobs_part import SPEC
from benchmarks.api.processes import broker, driftgate, postgres
from benchmarks.api.requests import HttpClient
from benchmarks.api.rows import Row, row
from service.jobs.parsing import parse_spec
from service.storage.job_store import JobStore
from service.storage.sessions import Database, migrate

NUM_JOBS = 1_000_000
PAGE_SIZE = 50
NUM_PAIRS = 60


def list_rows(folder: Path) -> list[Row]:
    with postgres() as url, broker(folder) as broker_url:
        migrate(url)
        _fill(url)
        with driftgate("api", database_url=url, broker_url=broker_url, folder=folder) as server:
            client = HttpClient(server.port)
            first = f"/v1/jobs?page_size={PAGE_SIZE}"
            path = first
            for _ in range(999):
                answer, _ = client.request("GET", path)
                path = f"{first}&page_token={json.loads(answer)['next_page_token']}"
            # Side by side, so that what else the machine does falls on both.
            times_ms = [(_wall_ms(client, first), _wall_ms(client, path)) for _ in range(NUM_PAIRS)]
    page_1, page_1000 = (statistics.median(column) for column in zip(*times_ms, strict=True))
    return [
        row("list.page1.wall", page_1, "client ms"),
        row("list.page1000.wall", page_1000, "client ms"),
        row("list.page1000_vs_page1", page_1000 / page_1, "×"),
    ]


def _fill(url: str) -> None:
    """One job as the service writes it, copied by the database with other ids and times."""
    database = Database(url)
    job_id = JobStore(database).create(parse_spec(SPEC), warnings=(), queue="benchmark").id
    with database.transaction() as session:
        columns = session.execute(
            text("SELECT column_name FROM information_schema.columns WHERE table_name = 'jobs'")
        ).scalars()
        values = {name: name for name in columns} | {
            "id": "lpad(to_hex(number), 32, '0')",
            "created_at": "created_at - number * interval '1 second'",
            "updated_at": "updated_at - number * interval '1 second'",
        }
        session.execute(
            text(
                f"INSERT INTO jobs ({', '.join(values)}) SELECT {', '.join(values.values())} "
                f"FROM jobs, generate_series(1, {NUM_JOBS - 1}) AS number WHERE id = :id"
            ),
            {"id": job_id},
        )
    with database.transaction() as session:
        session.execute(text("ANALYZE jobs"))
    database.close()


def _wall_ms(client: HttpClient, path: str) -> float:
    before = time.perf_counter()
    client.request("GET", path)
    return (time.perf_counter() - before) * 1000
