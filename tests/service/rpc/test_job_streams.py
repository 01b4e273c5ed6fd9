"""Long polls and streams of jobs, over a real channel."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from service.jobs.access import Scope
from service.jobs.api_keys import ApiKeyRequest
from service.jobs.state import JobState
from service.rpc.generated.driftgate.v1 import jobs_pb2
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database
from tests.service.rpc.refusals import refusal_by_grpc
from tests.service.rpc.test_job_service import create

SOON_S = 30
NUM_STREAMS = 100


@pytest.fixture
def background():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def finish(job_store, state=JobState.SUCCEEDED) -> None:
    """Play the worker of the one job that waits."""
    lease = job_store.claim(queue="default", owner="w", lease_s=60).lease
    job_store.start_running(lease)
    job_store.finish(lease, state=state, failure=None, message="done")


def test_events_come_in_order_as_they_happen_and_the_stream_ends_with_the_job(
    stub, job_store, background
):
    job = create(stub)
    stream = stub.StreamEvents(jobs_pb2.StreamEventsRequest(job_id=job.id), timeout=SOON_S)

    first = next(stream).event
    assert (first.seq, first.state) == (1, jobs_pb2.JOB_STATE_QUEUED)
    background.submit(finish, job_store).result()
    others = [answer.event for answer in stream]

    assert [event.seq for event in others] == list(range(2, 2 + len(others)))
    assert others[-1].state == jobs_pb2.JOB_STATE_SUCCEEDED
    assert others == list(
        stub.ListEvents(jobs_pb2.ListEventsRequest(job_id=job.id, after_seq=1)).events
    )
    assert stream.code() is grpc.StatusCode.OK


def test_a_broken_stream_goes_on_after_the_last_event_and_a_told_story_ends_at_once(
    stub, job_store
):
    job = create(stub)
    finish(job_store)
    every = [a.event.seq for a in stub.StreamEvents(jobs_pb2.StreamEventsRequest(job_id=job.id))]

    after = jobs_pb2.StreamEventsRequest(job_id=job.id, after_seq=every[1])
    assert [answer.event.seq for answer in stub.StreamEvents(after)] == every[2:]
    told = jobs_pb2.StreamEventsRequest(job_id=job.id, after_seq=every[-1])
    assert list(stub.StreamEvents(told)) == []
    beyond = jobs_pb2.StreamEventsRequest(job_id=job.id, after_seq=every[-1] + 1)
    _, refusal = refusal_by_grpc(lambda: stub.StreamEvents(beyond))
    assert refusal.code == "INVALID_ARGUMENT"


def test_a_job_is_watched_at_every_change_until_it_ends(stub, job_store):
    job = create(stub)
    stream = stub.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id), timeout=SOON_S)
    assert next(stream).job == job

    finish(job_store)
    seen = [answer.job for answer in stream]

    assert seen[-1].state == jobs_pb2.JOB_STATE_SUCCEEDED
    versions = [each.version for each in seen]
    assert versions == sorted(set(versions))
    assert versions[0] > job.version
    known = jobs_pb2.WatchJobRequest(job_id=job.id, if_version_not=versions[-1])
    assert list(stub.WatchJob(known)) == []


def test_a_watched_job_that_is_deleted_ends_its_stream_with_not_found(stub, job_store):
    job = create(stub)
    finish(job_store, JobState.FAILED)
    known = stub.GetJob(jobs_pb2.GetJobRequest(job_id=job.id)).job
    stub.DeleteJob(jobs_pb2.DeleteJobRequest(job_id=job.id))

    request = jobs_pb2.WatchJobRequest(job_id=job.id, if_version_not=known.version)
    code, refusal = refusal_by_grpc(lambda: stub.WatchJob(request))

    assert (code, refusal.code) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


def test_a_get_that_waits_is_answered_by_the_change(stub, background):
    job = create(stub)
    request = jobs_pb2.GetJobRequest(
        job_id=job.id, if_version_not=job.version, wait=Duration(seconds=SOON_S)
    )
    started_at = time.monotonic()

    waiting = background.submit(stub.GetJob, request)
    time.sleep(0.1)
    assert not waiting.done()
    stub.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id))

    assert waiting.result().job.state == jobs_pb2.JOB_STATE_CANCELLED
    assert time.monotonic() - started_at < SOON_S / 2


def test_a_get_that_waits_without_a_version_is_answered_by_the_end(stub, job_store, background):
    job = create(stub)
    request = jobs_pb2.GetJobRequest(job_id=job.id, wait=Duration(seconds=SOON_S))

    waiting = background.submit(stub.GetJob, request)
    lease = job_store.claim(queue="default", owner="w", lease_s=60).lease
    job_store.start_running(lease)
    time.sleep(0.5)
    assert not waiting.done()
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="done")

    assert waiting.result().job.state == jobs_pb2.JOB_STATE_SUCCEEDED


def test_a_get_that_waited_in_vain_gives_the_job_as_it_is(stub):
    job = create(stub)
    for version in (job.version, job.version + 7):
        wait = Duration(nanos=50_000_000)
        request = jobs_pb2.GetJobRequest(job_id=job.id, if_version_not=version, wait=wait)
        assert stub.GetJob(request).job == job


@pytest.mark.parametrize("wait", [Duration(seconds=-1), Duration(seconds=2**62)])
def test_a_wait_that_is_none_is_refused(stub, wait):
    request = jobs_pb2.GetJobRequest(job_id="0" * 32, wait=wait)

    _, refusal = refusal_by_grpc(lambda: stub.GetJob(request))

    assert (refusal.code, refusal.fields) == ("INVALID_ARGUMENT", ["wait"])


def test_a_poll_for_changes_is_answered_by_the_change(stub, background):
    token = stub.ListChanges(jobs_pb2.ListChangesRequest()).next_after
    request = jobs_pb2.ListChangesRequest(after=token, wait=Duration(seconds=SOON_S))

    waiting = background.submit(stub.ListChanges, request)
    job = create(stub)

    answer = waiting.result()
    assert [change.job for change in answer.changes] == [job]
    quick = jobs_pb2.ListChangesRequest(after=answer.next_after, wait=Duration(nanos=10_000_000))
    assert list(stub.ListChanges(quick).changes) == []


def test_changes_of_all_jobs_are_streamed_and_a_broken_stream_goes_on_from_its_token(
    stub, job_store
):
    stream = stub.StreamChanges(jobs_pb2.StreamChangesRequest(), timeout=SOON_S)
    first = next(stream)
    assert (first.HasField("change"), bool(first.after)) == (False, True)

    job = create(stub)
    change = next(stream)
    assert (change.change.job_id, change.change.job) == (job.id, job)
    stream.cancel()
    finish(job_store)
    stub.DeleteJob(jobs_pb2.DeleteJobRequest(job_id=job.id))

    stream = stub.StreamChanges(jobs_pb2.StreamChangesRequest(after=change.after), timeout=SOON_S)
    assert next(stream).after == change.after
    last = next(stream).change
    assert (last.job_id, last.HasField("job")) == (job.id, False)
    stream.cancel()


def test_a_hundred_open_streams_hold_no_thread_and_no_place_once_their_clients_are_gone(
    stub, operations, wait_until
):
    job = create(stub)
    create(stub)  # all that lives on as it is started once
    threads_before = None
    streams = []
    for _ in range(NUM_STREAMS):
        streams.append(stub.StreamEvents(jobs_pb2.StreamEventsRequest(job_id=job.id)))
        next(streams[-1])
        if len(streams) == NUM_STREAMS // 2:
            threads_before = _num_server_threads()

    assert operations.tailer.num_followers == NUM_STREAMS
    assert _num_server_threads() <= threads_before + 2
    for stream in streams:
        stream.cancel()

    wait_until(lambda: operations.tailer.num_followers == 0)
    assert operations.limits._streams_by_caller == {}


def _num_server_threads() -> int:
    return sum(thread.name.startswith("grpc") for thread in threading.enumerate())


def test_a_stream_and_a_long_poll_end_with_the_key_that_opened_them(stub, operations, settings):
    job = create(stub)
    keys = ApiKeyStore(Database(settings.resolved_database_url()))
    created = keys.create(ApiKeyRequest(name="a page", scope=Scope.READ))
    operations.authenticator.forget()
    metadata = [("authorization", f"Bearer {created.key}")]
    stream = stub.StreamChanges(jobs_pb2.StreamChangesRequest(), metadata=metadata, timeout=SOON_S)
    assert next(stream).after
    request = jobs_pb2.GetJobRequest(job_id=job.id, wait=Duration(seconds=SOON_S))
    poll = stub.GetJob.future(request, metadata=metadata)

    operations.api_keys.revoke(created.api_key.id)

    for call in (lambda: next(stream), poll.result):
        with pytest.raises(grpc.RpcError) as refusal:
            call()
        assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_stream_whose_deadline_has_passed_is_freed(stub, operations, wait_until):
    job = create(stub)
    stream = stub.StreamEvents(jobs_pb2.StreamEventsRequest(job_id=job.id), timeout=0.5)

    with pytest.raises(grpc.RpcError) as ended:
        list(stream)

    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: operations.tailer.num_followers == 0)


def test_a_server_that_stops_ends_its_streams_at_once_and_says_to_come_back(
    start_server, operations, settings
):
    server, stubs = start_server(operations, settings)
    job = create(stubs.jobs)
    request = jobs_pb2.StreamEventsRequest(job_id=job.id)
    streams = [stubs.jobs.StreamEvents(request) for _ in range(20)]
    for stream in streams:
        next(stream)

    started_at = time.monotonic()
    server.stop(grace=SOON_S).wait()

    assert time.monotonic() - started_at < SOON_S / 3
    for stream in streams:
        with pytest.raises(grpc.RpcError) as ended:
            list(stream)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "Call again" in ended.value.details()
