"""Requests made from the contract as reflection tells it: each is answered, or refused with a code of the catalogue.

One request is a message with some fields set to anything that their types hold, on top of one that would do or of
nothing; every third is then damaged as bytes. The seeds are fixed, so that a run repeats.
"""

import logging

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import ErrorCode
from service.rpc.convert import message_of
from service.rpc.generated.driftgate.v1.jobs_pb2 import CreateJobRequest
from service.rpc.generated.driftgate.v1.spec_pb2 import JobSpec
from service.rpc.generated.driftgate.v1.studies_pb2 import CreateStudyRequest, StudySpec
from tests.service.rpc.parity_studies import same_study
from tests.service.rpc.parity_worlds import SPEC, open_world
from tests.service.studies.played_runs import STUDY

NUM_REQUESTS = 400
# Waiting for news is what these are for.
PATIENT = ("GetJob", "ListChanges")
PATIENCE_S = 0.3
TIME_LIMIT_S = 20.0
NUM_ANSWERS = 3
DEFECTS = {ErrorCode.INTERNAL, ErrorCode.DATABASE_UNAVAILABLE, ErrorCode.CHECKPOINT_CORRUPT}

# What would be accepted as it is, by method.
COMPLETE = {
    "CreateJob": CreateJobRequest(spec=message_of(JobSpec, SPEC)).SerializeToString(),
    "CreateStudy": CreateStudyRequest(spec=message_of(StudySpec, STUDY)).SerializeToString(),
}

NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1) | st.sampled_from([0, 1, -1]),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, -1, 2**31, 2**63 - 1]),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["\0", "a" * 20_000, "W10=", "bnVsbA==", "[[[[", "../..", "train/loss", "final", "builtin/x"]
)


@pytest.fixture
def world(settings_factory, database_url, redis_url, exit_stack):
    return open_world(
        settings_factory(
            database_url=database_url,
            broker_url=redis_url,
            grpc_port=0,
            max_body_bytes=100_000,
            hub_endpoint="http://127.0.0.1:9",
            hub_cache_dir="/nonexistent",
        ),
        exit_stack,
    )


def test_no_request_meets_a_defect(world, caplog):
    methods = reflected_methods(world.stubs.channel)
    assert len(methods) > 40
    ids = [
        world.job(),
        world.operations.cancel_job(world.job()).id,
        world.dataset(b'{"id": "1", "problem": "p", "answer": "1"}\n'),
        world.operations.list_changes().next_after,
        same_study(world),
        "0" * 32,
    ]

    @settings(
        max_examples=NUM_REQUESTS,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def send_one(data):
        method = methods[data.draw(st.sampled_from(sorted(methods)))]
        request = GetMessageClass(method.input_type).FromString(COMPLETE.get(method.name, b""))
        fill(data, request, ids=ids)
        bound_wait(request)
        serialized = request.SerializeToString()
        if data.draw(st.sampled_from([False, False, True])):
            serialized = damaged(data, serialized)
        send(world.stubs.channel, method, serialized)

    send_one()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def reflected_methods(channel):
    """By full name: whatever the server says that it has."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    return {
        method.full_name: method
        for name in database.get_services()
        if name.startswith("driftgate.")
        for method in pool.FindServiceByName(name).methods
    }


def fill(data, message, *, ids, depth=0):
    """Sets up to three fields of the message, and of the messages in it, to anything."""
    fields = list(message.DESCRIPTOR.fields)
    if not fields or depth > 4:
        return
    for field in data.draw(st.lists(st.sampled_from(fields), max_size=3, unique=True)):
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map and field.message_type.fields_by_name["value"].message_type is None:
            key, value = (
                data.draw(values(field.message_type.fields_by_name[name], ids))
                for name in ("key", "value")
            )
            getattr(message, field.name)[key] = value
        elif is_map:
            continue
        elif field.message_type is not None and field.is_repeated:
            for _ in range(data.draw(st.integers(0, 2))):
                fill(data, getattr(message, field.name).add(), ids=ids, depth=depth + 1)
        elif field.message_type is not None:
            part = getattr(message, field.name)
            part.SetInParent()
            fill(data, part, ids=ids, depth=depth + 1)
        elif field.is_repeated:
            several = st.lists(values(field, ids), max_size=4)
            getattr(message, field.name).extend(data.draw(several))
        else:
            setattr(message, field.name, data.draw(values(field, ids)))


def values(field, ids):
    """Anything that the field's type holds; of enums, numbers without a name too."""
    if field.enum_type is not None:
        named = st.sampled_from([each.number for each in field.enum_type.values])
        return named | st.integers(-(2**31), 2**31 - 1)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=200)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return st.sampled_from(ids) | TEXTS
    return NUMBERS[field.cpp_type]


def bound_wait(request):
    """A long poll that waits is no finding."""
    if "wait" in request.DESCRIPTOR.fields_by_name and request.wait.seconds > 0:
        request.ClearField("wait")


def damaged(data, serialized):
    """With bytes flipped, cut out or put in."""
    noise = bytearray(serialized)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(noise)))
        length = data.draw(st.integers(0, 8))
        noise[place : place + length] = data.draw(st.binary(max_size=8))
    return bytes(noise)


def send(channel, method, serialized):
    """Fails where the call ends neither well nor with a code of the catalogue that is no defect."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    time_limit_s = PATIENCE_S if method.name in PATIENT else TIME_LIMIT_S
    try:
        if method.client_streaming:
            channel.stream_unary(path)(iter([serialized]), timeout=time_limit_s)
        elif method.server_streaming:
            answers = channel.unary_stream(path)(serialized, timeout=PATIENCE_S)
            for _, _ in zip(range(NUM_ANSWERS), answers, strict=False):
                pass
            answers.cancel()
        else:
            channel.unary_unary(path)(serialized, timeout=time_limit_s)
    except grpc.RpcError as error:
        is_bounded = method.server_streaming or method.name in PATIENT
        if not (is_bounded and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED):
            assert_is_refusal(path, error)


def assert_is_refusal(path, error):
    status = rpc_status.from_call(error)
    assert status is not None, f"{path}: {error.code()}: {error.details()}"
    found = ErrorInfo()
    assert any(detail.Unpack(found) for detail in status.details), f"{path}: {status}"
    assert found.domain == "driftgate"
    assert ErrorCode(found.reason) not in DEFECTS, f"{path}: {status.message}"
    assert "Traceback" not in status.message
