"""PostgreSQL and Redis by settings alone; migrations, API, gRPC, reconciler and worker as separate commands."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from service.client import Client
from service.jobs.state import JobState
from service.rpc.convert import spec_message
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from tests.processes import pids_of
from tests.worker.small_jobs import small_job


class Deployment:
    """Commands of `driftgate` that know each other only by the two servers' addresses."""

    def __init__(self, folder: Path, *, database_url: str, broker_url: str) -> None:
        self._folder = folder
        self._processes = ExitStack()
        self.http_port, self.grpc_port = unused_ports()
        self._environment = os.environ | {
            "DRIFTGATE_DATABASE_URL": database_url,
            "DRIFTGATE_BROKER_URL": broker_url,
            "DRIFTGATE_ARTIFACT_ROOT": str(folder / "artifacts"),
            "DRIFTGATE_HTTP_PORT": str(self.http_port),
            "DRIFTGATE_GRPC_PORT": str(self.grpc_port),
            "DRIFTGATE_WORKER_SLOTS": "2",
            "DRIFTGATE_HEARTBEAT_S": "0.5",
            # Work comes by message; the poll is for when one is lost.
            "DRIFTGATE_POLL_INTERVAL_S": "600",
            "OMP_NUM_THREADS": "1",
        }

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Each in a folder of its own, so that nothing is shared but what the settings name."""
        own_folder = self._folder / command
        own_folder.mkdir()
        with (own_folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "service.cli", command],
                cwd=own_folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.callback(process.wait)
        self._processes.callback(process.kill)
        return process

    def log(self, command: str) -> str:
        return (self._folder / command / "log").read_text()

    def stop(self) -> None:
        self._processes.close()


@pytest.fixture
def deployment(empty_postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path, database_url=empty_postgres_url, broker_url=redis_url)
    yield deployment
    deployment.stop()


def test_jobs_by_rest_and_grpc_run_on_a_worker_apart_and_one_survives_kill_9(
    deployment: Deployment, wait_until
) -> None:
    assert deployment.start("migrate").wait(timeout=30) == 0
    api, rpc, reconciler, worker = map(deployment.start, ("api", "grpc", "reconciler", "worker"))
    wait_until(lambda: listens(deployment.http_port) and listens(deployment.grpc_port))
    wait_until(lambda: "ready." in deployment.log("worker"))

    with (
        Client(f"http://127.0.0.1:{deployment.http_port}") as client,
        grpc.insecure_channel(f"127.0.0.1:{deployment.grpc_port}") as channel,
    ):
        unbroken_id = client.submit(small_job()).id
        request = jobs_pb2.CreateJobRequest(spec=spec_message(small_job()))
        killed_id = jobs_pb2_grpc.JobServiceStub(channel).CreateJob(request).job.id
        wait_until(lambda: client.checkpoints(killed_id).checkpoints, timeout_s=120)
        os.kill(pids_of("worker.execute", killed_id)[0], signal.SIGKILL)
        ids = (unbroken_id, killed_id)
        wait_until(
            lambda: all(client.get(job_id).state is JobState.SUCCEEDED for job_id in ids),
            timeout_s=120,
        )

        assert [client.get(job_id).attempt for job_id in ids] == [1, 2]
        assert final_weights(client, killed_id) == final_weights(client, unbroken_id)
        stages = [evaluation.stage for evaluation in client.results(killed_id).evaluations]
        assert sorted(stages) == ["baseline", "final"]

    assert "libtorch" not in Path(f"/proc/{api.pid}/maps").read_text()
    for process in (worker, reconciler, rpc, api):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in {0, -signal.SIGTERM}


def final_weights(client: Client, job_id: str) -> bytes:
    newest = client.checkpoints(job_id).checkpoints[0]
    assert newest.final
    return (Path(newest.uri) / "model.safetensors").read_bytes()


def unused_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
