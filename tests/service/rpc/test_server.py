import hashlib
import os
import signal
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from service.errors import DriftgateError, ErrorCode
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from service.rpc.server import build_server

JOB_SERVICE = "driftgate.v1.JobService"
KEY = "a key"


def health_of(channel: grpc.Channel, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(channel).Check(request, wait_for_ready=True).status


def test_health_is_serving_for_the_server_and_for_the_service(channel):
    for service in ("", JOB_SERVICE):
        assert health_of(channel, service) == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refusal:
        health_of(channel, "driftgate.v1.Nothing")
    assert refusal.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_service_and_describes_its_messages(channel):
    database = ProtoReflectionDescriptorDatabase(channel)

    assert set(database.get_services()) == {
        JOB_SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    described = database.FindFileContainingSymbol("driftgate.v1.JobSpec")
    assert "GateSpec" in [message.name for message in described.message_type]


def test_calls_need_one_of_the_keys_where_keys_are_set_and_health_needs_none(
    connect, operations, settings
):
    digests = (hashlib.sha256(b"another key").hexdigest(), hashlib.sha256(KEY.encode()).hexdigest())
    channel = connect(operations, settings.model_copy(update={"api_key_sha256": digests}))
    stub = jobs_pb2_grpc.JobServiceStub(channel)

    for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", KEY),)):
        with pytest.raises(grpc.RpcError) as refusal:
            stub.ListJobs(jobs_pb2.ListJobsRequest(), metadata=metadata)
        assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as refusal:
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED

    answer = stub.ListJobs(
        jobs_pb2.ListJobsRequest(), metadata=(("authorization", f"Bearer {KEY}"),)
    )
    assert not answer.jobs
    assert health_of(channel, JOB_SERVICE) == health_pb2.HealthCheckResponse.SERVING


def test_a_public_address_without_keys_is_refused(operations, settings):
    with pytest.raises(DriftgateError) as refusal:
        build_server(operations, settings.model_copy(update={"grpc_host": "0.0.0.0"}))

    assert refusal.value.code is ErrorCode.UNSAFE_BIND


def test_a_second_server_on_the_same_port_does_not_start(operations, settings):
    server, port = build_server(operations, settings)

    with pytest.raises(RuntimeError):
        build_server(operations, settings.model_copy(update={"grpc_port": port}))

    server.stop(grace=None).wait()


def test_a_request_beyond_the_size_limit_is_refused(connect, operations, settings):
    channel = connect(operations, settings.model_copy(update={"max_body_bytes": 1024}))

    with pytest.raises(grpc.RpcError) as refusal:
        jobs_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="x" * 2000))

    assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_process_answers_holds_no_torch_and_ends_on_a_signal(
    number, unused_port, sqlite_url, redis_url, tmp_path
):
    program = (
        "import sys\n"
        "from service.rpc.server import serve\n"
        "from service.settings import load_settings\n"
        "serve(load_settings())\n"
        "sys.exit('torch' in sys.modules)"
    )
    environment = os.environ | {
        "DRIFTGATE_DATA_DIR": str(tmp_path),
        "DRIFTGATE_DATABASE_URL": sqlite_url,
        "DRIFTGATE_BROKER_URL": redis_url,
        "DRIFTGATE_GRPC_PORT": str(unused_port),
    }
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{unused_port}") as channel:
            stub = jobs_pb2_grpc.JobServiceStub(channel)
            request = jobs_pb2.ListJobsRequest()
            assert not stub.ListJobs(request, wait_for_ready=True, timeout=30).jobs
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
