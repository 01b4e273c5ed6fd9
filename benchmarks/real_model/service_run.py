"""One real job over HTTP: `driftgate up` in a folder of its own, a POST, and what comes back."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.api.processes import free_port
from service.child_process import ChildProcess, describe_exit, last_lines
from service.client import Client
from service.jobs.catalog import Metric
from service.jobs.results import Job, JobMetrics
from service.jobs.spec import JobSpec
from service.jobs.state import TERMINAL_STATES, JobState

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0
POLL_S = 1.0


@contextmanager
def running_service(settings: Mapping[str, str], *, log_path: Path, python: str) -> Iterator[str]:
    """The address of a service that answers; stopped with everything that it started."""
    http_port, grpc_port = free_port(), free_port()
    url = f"http://127.0.0.1:{http_port}"
    process = ChildProcess(
        [python, "-P", "-m", "service.cli", "up"],
        log_path=log_path,
        environment={
            "DRIFTGATE_HTTP_PORT": str(http_port),
            "DRIFTGATE_GRPC_PORT": str(grpc_port),
            "DRIFTGATE_POLL_INTERVAL_S": "1",
            **settings,
        },
    )
    try:
        _wait_until_healthy(url, process, log_path)
        yield url
    finally:
        process.ask_to_stop()
        if process.wait(timeout_s=STOP_TIMEOUT_S) is None:
            process.kill()


def _wait_until_healthy(url: str, process: ChildProcess, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        status = process.wait(timeout_s=0)
        if status is not None:
            raise SystemExit(f"The service {describe_exit(status)}.\n{last_lines(log_path)}")
        try:
            if httpx.get(f"{url}/healthz", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"The service did not start. Its log: {log_path}")


def run_job(
    client: Client, spec: JobSpec, *, on_update: Callable[[int, float], None]
) -> tuple[Job, JobMetrics]:
    """The job once it has succeeded, with the metrics of all updates; ends the program where it has not.

    on_update: is given the step and its loss, nats, as they come in.
    """
    job = client.submit(spec)
    num_seen = 0
    while job.state not in TERMINAL_STATES:
        time.sleep(POLL_S)
        job = client.get(job.id)
        metrics = client.metrics(job.id, names=[Metric.LOSS], after_update=num_seen)
        for step, value in zip(metrics.step, metrics.columns[Metric.LOSS], strict=True):
            num_seen += 1
            if value is not None:
                on_update(step, value)
    if job.state is not JobState.SUCCEEDED:
        raise SystemExit(f"The job is {job.state}: {job.failure}")
    return job, client.metrics(job.id)
