import hashlib

import grpc
import pytest

from service.jobs.access import Scope
from service.rpc.admission import scope_of
from service.rpc.generated.driftgate.v1 import jobs_pb2
from service.rpc.service_table import services
from tests.service.rpc.parity_worlds import Key, open_world
from tests.service.rpc.refusals import refusal_by_grpc
from tests.service.rpc.test_same_answers import spec_of

READING = {
    "BatchGetJobs", "CompareJobs", "DownloadCheckpoint", "DownloadDataset", "GetCheckpoint",
    "GetCurrentCaller", "GetDataset", "GetDriftMap", "GetGradientFidelity", "GetJob", "GetLatestMetrics",
    "GetMetrics",
    "GetResults", "GetSamplePlan", "GetVerdictChanges", "ListAttempts", "ListBenchmarks", "ListChanges",
    "ListCheckpoints", "ListDatasets", "ListEvents", "ListJobs", "ListMetrics", "ListModels", "ListPresets",
    "ListSamples", "QueryMetrics", "SimulateGate", "StreamChanges", "StreamEvents", "WatchJob",
    "GetStudy", "GetStudyVerdict", "ListStudies", "ListStudyEvents", "ListStudyPresets",
}  # fmt: skip
WRITING = {
    "CancelJob", "CreateJob", "DeleteDataset", "DeleteJob", "ExportCheckpoint", "PauseJob",
    "ResumeJob", "UpdateJob", "UploadDataset",
    "CancelStudy", "CreateStudy", "DeleteStudy", "PauseStudy", "ResumeStudy",
}  # fmt: skip
OF_ADMINS = {
    "CreateApiKey", "CreateWebhook", "DeleteWebhook", "GetApiKey", "GetWebhook",
    "GetWebhookDelivery", "ListApiKeys", "ListWebhookDeliveries", "ListWebhooks",
    "RedeliverWebhookDelivery", "RevokeApiKey", "RotateApiKey", "RotateWebhookSecret",
    "TestWebhook", "UpdateWebhook",
}  # fmt: skip


def every_method(operations):
    return [method for descriptor, _ in services(operations) for method in descriptor.methods]


def test_every_method_needs_the_scope_of_what_it_does(operations):
    scopes = {
        method.name: scope_of(method.containing_service.full_name, method.name)
        for method in every_method(operations)
    }

    assert scopes == (
        dict.fromkeys(READING, Scope.READ)
        | dict.fromkeys(WRITING, Scope.WRITE)
        | dict.fromkeys(OF_ADMINS, Scope.ADMIN)
    )


@pytest.fixture
def locked(settings, exit_stack):
    """A server with a key of its settings."""
    digest = hashlib.sha256(b"a key").hexdigest()
    return open_world(settings.model_copy(update={"api_key_sha256": (digest,)}), exit_stack)


def call(channel: grpc.Channel, method, key: Key | None):
    """An empty request: it is admitted before anything of it is read."""
    arity = f"{'stream' if method.client_streaming else 'unary'}_" + (
        "stream" if method.server_streaming else "unary"
    )
    path = f"/{method.containing_service.full_name}/{method.name}"
    request = iter([b""]) if method.client_streaming else b""
    return getattr(channel, arity)(path)(request, metadata=key.metadata if key else None)


def test_no_method_answers_without_a_key_or_below_its_scope(locked):
    reader, writer = locked.key("read"), locked.key("write")
    for method in every_method(locked.operations):
        _, nobody = refusal_by_grpc(lambda method=method: call(locked.stubs.channel, method, None))
        assert nobody.code == "UNAUTHENTICATED", method.name
        needed = scope_of(method.containing_service.full_name, method.name)
        key = {Scope.READ: None, Scope.WRITE: reader, Scope.ADMIN: writer}[needed]
        if key is not None:
            _, lesser = refusal_by_grpc(
                lambda method=method, key=key: call(locked.stubs.channel, method, key)
            )
            assert lesser.code == "PERMISSION_DENIED", method.name
            assert method.name in lesser.message


def test_a_key_of_the_settings_a_stored_one_and_the_scheme_in_any_case_are_accepted(locked):
    for key in (Key("Bearer a key"), locked.key("read"), Key("bearer a key")):
        locked.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=key.metadata)
    for key in (Key("Bearer another"), Key("a key"), Key("Basic a key"), Key("Bearer")):
        _, refusal = refusal_by_grpc(
            lambda key=key: locked.stubs.jobs.ListJobs(
                jobs_pb2.ListJobsRequest(), metadata=key.metadata
            )
        )
        assert refusal.code == "UNAUTHENTICATED"


def test_a_job_belongs_to_the_key_that_made_it(locked):
    """Two keys with the same request id make two jobs."""
    request = jobs_pb2.CreateJobRequest(spec=spec_of(), request_id="nightly")
    first, second = locked.key("write"), locked.key("write")
    ids = [
        locked.stubs.jobs.CreateJob(request, metadata=key.metadata).job.id
        for key in (first, first, second)
    ]

    assert ids[0] == ids[1] != ids[2]


def test_a_key_has_so_many_streams_and_the_next_is_refused_until_one_has_ended(locked, wait_until):
    key = locked.key("write", max_streams=1)
    create = jobs_pb2.CreateJobRequest(spec=spec_of())
    job_id = locked.stubs.jobs.CreateJob(create, metadata=key.metadata).job.id
    request = jobs_pb2.StreamEventsRequest(job_id=job_id)

    def stream():
        return locked.stubs.jobs.StreamEvents(request, metadata=key.metadata)

    open_stream = stream()
    next(open_stream)
    code, refusal = refusal_by_grpc(stream)
    assert (code, refusal.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    open_stream.cancel()
    wait_until(lambda: locked.operations.tailer.num_followers == 0)

    again = stream()
    assert next(again).event.seq == 1
    again.cancel()
