import os
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from service.cli import app
from service.health_command import MISSED_TURNS, TURN_MARGIN_S, Process, what_is_wrong
from service.health_file import touch_health_file
from service.settings import load_settings


@pytest.fixture
def healthcheck(monkeypatch):
    """`driftgate healthcheck` in the environment of the settings given."""

    def check(process, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"DRIFTGATE_{name.upper()}", str(value))
        load_settings.cache_clear()
        return CliRunner().invoke(app, ["healthcheck", process])

    yield check
    load_settings.cache_clear()


def test_a_process_that_nothing_is_heard_of_is_not_well(healthcheck, unused_port, tmp_path):
    address = f"127.0.0.1:{unused_port}"
    rest = healthcheck("api", http_port=unused_port)
    rpc = healthcheck("grpc", grpc_port=unused_port)
    worker = healthcheck("worker", health_file=tmp_path / "turned")
    assert [each.exit_code for each in (rest, rpc, worker)] == [1, 1, 1]
    assert f"http://{address}/healthz does not answer" in rest.stderr
    assert f"gRPC on {address} does not answer: UNAVAILABLE" in rpc.stderr
    assert f"{tmp_path / 'turned'} was not written yet" in worker.stderr


def test_without_a_health_file_the_check_says_what_to_set(healthcheck):
    checked = healthcheck("reconciler")
    assert checked.exit_code == 1
    assert "DRIFTGATE_HEALTH_FILE is not set" in checked.stderr


@pytest.mark.parametrize(("process", "turn_s"), [(Process.WORKER, 5.0), (Process.RECONCILER, 20.0)])
def test_a_loop_that_stands_still_is_noticed_by_its_file(
    settings_factory, tmp_path, process, turn_s
):
    settings = settings_factory(
        health_file=tmp_path / "turned", poll_interval_s=5.0, reconcile_interval_s=20.0
    )
    limit_s = MISSED_TURNS * turn_s + TURN_MARGIN_S
    touch_health_file(settings.health_file)
    assert what_is_wrong(process, settings) is None

    now = time.time()
    os.utime(settings.health_file, (now, now - limit_s + 10))
    assert what_is_wrong(process, settings) is None
    os.utime(settings.health_file, (now, now - limit_s - 10))
    assert f"allowed: {limit_s:g} s" in what_is_wrong(process, settings)


def test_a_file_that_cannot_be_touched_ends_nothing(tmp_path):
    touch_health_file(tmp_path / "no such folder" / "turned")
    touch_health_file(None)
    assert list(tmp_path.iterdir()) == []


def test_a_grpc_server_that_stops_is_not_well(settings_factory):
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # A wildcard is an address to listen on, not one to call.
    settings = settings_factory(grpc_host="0.0.0.0", grpc_port=port)
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    assert what_is_wrong(Process.GRPC, settings) is None
    servicer.enter_graceful_shutdown()
    assert what_is_wrong(Process.GRPC, settings) == f"gRPC on 127.0.0.1:{port} says NOT_SERVING"
    server.stop(None).wait()
