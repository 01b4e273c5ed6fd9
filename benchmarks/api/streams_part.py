"""What 500 open streams hold of the database: nothing."""

import asyncio
import threading
import time
from pathlib import Path

import uvicorn

from benchmarks.api.jobs_part import SPEC
from benchmarks.api.processes import broker, free_port, postgres
from benchmarks.api.rows import Row, row
from service.jobs.parsing import parse_spec
from service.rest.app import create_app
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.sessions import Database, migrate

NUM_STREAMS = 500
NUM_JOBS = 50
NUM_LOOKS = 100


def stream_rows(folder: Path) -> list[Row]:
    with postgres() as url, broker(folder) as broker_url:
        migrate(url)
        settings = Settings(
            data_dir=folder / "var",
            database_url=url,
            broker_url=broker_url,
            max_streams=2 * NUM_STREAMS,
        )
        app, port = create_app(settings), free_port()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.05)
            pool_owner = app.state.operations._job_store._database  # noqa: SLF001 nobody else asks
            return _measure(JobStore(Database(url)), pool_owner, port)
        finally:
            app.state.operations.tailer.close()
            server.should_exit = True
            thread.join()


def _measure(jobs: JobStore, database: Database, port: int) -> list[Row]:
    """`database` is the server's own."""
    baseline = database.num_connections_in_use
    job_ids = [
        jobs.create(parse_spec(SPEC), warnings=(), queue="benchmark").id for _ in range(NUM_JOBS)
    ]
    return asyncio.run(_with_streams(jobs, database, port, job_ids, baseline=baseline))


async def _with_streams(
    jobs: JobStore, database: Database, port: int, job_ids: list[str], *, baseline: int
) -> list[Row]:
    streams = [
        await _open_stream(port, job_ids[number % NUM_JOBS]) for number in range(NUM_STREAMS)
    ]
    in_use = []
    cpu_before, before = time.process_time(), time.perf_counter()
    for _ in range(NUM_LOOKS):
        in_use.append(database.num_connections_in_use)
        await asyncio.sleep(0.02)
    share = (time.process_time() - cpu_before) / (time.perf_counter() - before)
    await asyncio.to_thread(lambda: [jobs.request_cancel(job_id) for job_id in job_ids])
    cancelled_at = time.perf_counter()
    endings = await asyncio.gather(*(reader.read() for reader, _ in streams))
    untold = [ending for ending in endings if b"cancelled" not in ending]
    assert not untold, (len(untold), untold[0][-300:])
    # What stays checked out at most of the looks is held; a single look may meet the tailer's own read.
    return [
        row("streams.500.pool", float(sorted(in_use)[NUM_LOOKS // 2] - baseline), "connections"),
        row("streams.500.cpu", share * 100, "% of a core, idle streams"),
        row("streams.500.end", time.perf_counter() - cancelled_at, "s until all have ended"),
    ]


async def _open_stream(port: int, job_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Both, for a connection whose writer is forgotten is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /v1/jobs/{job_id}/events:stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    await writer.drain()
    first_line = await reader.readline()
    assert b" 200 " in first_line, first_line
    return reader, writer
