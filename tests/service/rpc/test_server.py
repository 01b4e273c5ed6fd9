import hashlib
import os
import signal
import subprocess
import sys
import threading

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from service.errors import DriftgateError, ErrorCode
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from service.rpc.server import NUM_THREADS, build_server
from tests.service.rpc.parity_worlds import open_world
from tests.service.rpc.refusals import refusal_by_grpc
from tests.service.rpc.test_job_service import create

JOB_SERVICE = "driftgate.v1.JobService"
KEY_SHA256 = hashlib.sha256(b"a key").hexdigest()


def health_of(channel: grpc.Channel, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(channel).Check(request, wait_for_ready=True).status


def test_health_is_serving_for_the_server_and_for_the_service(channel):
    for service in ("", JOB_SERVICE):
        assert health_of(channel, service) == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refusal:
        health_of(channel, "driftgate.v1.Nothing")
    assert refusal.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services_and_describes_their_messages(channel):
    database = ProtoReflectionDescriptorDatabase(channel)

    assert set(database.get_services()) == {
        "driftgate.v1.ApiKeyService",
        "driftgate.v1.CatalogueService",
        "driftgate.v1.CheckpointService",
        "driftgate.v1.DatasetService",
        JOB_SERVICE,
        "driftgate.v1.ResultService",
        "driftgate.v1.StudyService",
        "driftgate.v1.WebhookService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    described = database.FindFileContainingSymbol("driftgate.v1.JobSpec")
    assert "GateSpec" in [message.name for message in described.message_type]


def test_where_keys_are_set_health_needs_none_and_reflection_does(
    start_server, settings, exit_stack
):
    world = open_world(settings.model_copy(update={"api_key_sha256": (KEY_SHA256,)}), exit_stack)
    channel = world.stubs.channel

    assert health_of(channel, JOB_SERVICE) == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refusal:
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED

    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([request]), metadata=world.key("read").metadata
    )
    assert JOB_SERVICE in [one.name for one in answer.list_services_response.service]


def test_a_public_address_without_keys_is_refused(operations, settings):
    with pytest.raises(DriftgateError) as refusal:
        build_server(operations, settings.model_copy(update={"grpc_host": "0.0.0.0"}))

    assert refusal.value.code is ErrorCode.UNSAFE_BIND


def test_a_second_server_on_the_same_port_does_not_start(operations, settings):
    server, port = build_server(operations, settings)

    with pytest.raises(RuntimeError):
        build_server(operations, settings.model_copy(update={"grpc_port": port}))

    server.stop(grace=None).wait()


def test_a_request_far_beyond_the_size_limit_is_refused_by_grpc_itself(
    start_server, operations, settings
):
    _, stubs = start_server(operations, settings.model_copy(update={"max_body_bytes": 1024}))

    with pytest.raises(grpc.RpcError) as refusal:
        stubs.jobs.GetJob(jobs_pb2.GetJobRequest(job_id="x" * 3000))

    assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 20,
        b"\x0a\x05ab",  # a text that ends too early
        b"\x0a\x02\xc3\x28",  # a text that is not UTF-8
        b"\x0a" + b"\x80" * 12,
    ],
)
def test_bytes_that_are_no_request_are_refused_and_give_nothing_away(channel, data):
    for method in ("GetJob", "CancelJob", "ListJobs"):
        call = channel.unary_unary(f"/{JOB_SERVICE}/{method}")
        code, refusal = refusal_by_grpc(lambda call=call: call(data))
        assert (code, refusal.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
        assert f"driftgate.v1.{method}Request" in refusal.message


def test_deeply_nested_bytes_are_refused(channel):
    call = channel.unary_unary(f"/{JOB_SERVICE}/GetJob")

    _, refusal = refusal_by_grpc(lambda: call(b"\x0b" * 10_000))  # groups, each in the one before

    assert refusal.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("method", ["GetJob", "CancelJob", "StreamEvents"])
def test_a_field_that_the_server_does_not_know_is_refused(channel, method):
    arity = channel.unary_stream if method == "StreamEvents" else channel.unary_unary
    call = arity(f"/{JOB_SERVICE}/{method}")

    _, refusal = refusal_by_grpc(lambda: call(b"\xc0\x3e\x01"))  # field 1000, a varint

    assert refusal.code == "INVALID_ARGUMENT"
    assert "field number 1000" in refusal.message


def test_a_method_that_there_is_not_is_refused_with_a_hint(channel):
    for path in ("/driftgate.v1.JobService/Nothing", "/other.v1.Service/Get", "/nothing"):
        call = channel.unary_unary(path)
        code, refusal = refusal_by_grpc(lambda call=call: call(b""))
        assert (code, refusal.code) == (grpc.StatusCode.UNIMPLEMENTED, "ROUTE_NOT_FOUND")
        assert path in refusal.message


def test_calls_are_answered_while_more_long_polls_wait_than_there_are_threads(stub):
    job = create(stub)
    request = jobs_pb2.GetJobRequest(
        job_id=job.id, if_version_not=job.version, wait=Duration(seconds=60)
    )
    waiting = [stub.GetJob.future(request) for _ in range(4 * NUM_THREADS)]

    cancelled = stub.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id), timeout=30).job

    assert [each.result(timeout=30).job for each in waiting] == [cancelled] * len(waiting)


def test_calls_are_answered_while_more_descriptions_are_left_open_than_there_are_threads(
    channel, stub
):
    is_over = threading.Event()

    def asked_once():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        is_over.wait(30)

    reflecting = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    streams = [reflecting(asked_once()) for _ in range(2 * NUM_THREADS)]

    assert list(stub.ListJobs(jobs_pb2.ListJobsRequest(), timeout=20).jobs) == []
    for stream in streams:
        stream.cancel()
    is_over.set()


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
