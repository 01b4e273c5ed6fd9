import hashlib
import io
import tarfile

import grpc
import pytest

from service.rpc import stream_loop
from service.rpc.checkpoint_service import PIECE_BYTES
from service.rpc.generated.driftgate.v1 import checkpoints_pb2, jobs_pb2, spec_pb2
from service.storage.sessions import Database
from tests.saved_checkpoints import FILES, LOADABLE, saved_job
from tests.service.rpc.refusals import refusal_by_grpc

# More than gRPC takes on for a client that reads nothing.
LARGE = bytes(range(256)) * (40 * PIECE_BYTES // 256)


@pytest.fixture
def saved(settings):
    database = Database(settings.resolved_database_url())
    yield saved_job(database, settings, files=FILES | {"model.safetensors": LARGE})
    database.close()


def download(stubs, saved, **fields):
    request = checkpoints_pb2.DownloadCheckpointRequest(job_id=saved.job.id, step="final", **fields)
    first, *others = stubs.checkpoints.DownloadCheckpoint(request)
    return first, [answer.chunk for answer in others]


def test_checkpoints_are_listed_and_each_shows_its_files(stubs, saved):
    of_job = checkpoints_pb2.ListCheckpointsRequest(job_id=saved.job.id)
    listed = stubs.checkpoints.ListCheckpoints(of_job).checkpoints
    assert [each.step for each in listed] == [4, 2]

    request = checkpoints_pb2.GetCheckpointRequest(job_id=saved.job.id, step="latest")
    answer = stubs.checkpoints.GetCheckpoint(request)

    assert answer.checkpoint == listed[0]
    assert [file.name for file in answer.files] == sorted(FILES)
    assert [file.name for file in answer.files if file.loadable] == LOADABLE


def test_a_file_comes_in_pieces_with_its_hash_and_a_broken_download_goes_on(stubs, saved):
    first, chunks = download(stubs, saved, file="model.safetensors")

    assert (first.file_name, first.size_bytes) == ("model.safetensors", len(LARGE))
    assert first.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert b"".join(chunks) == LARGE
    assert len(chunks) > 1
    assert max(map(len, chunks)) <= PIECE_BYTES
    _, others = download(stubs, saved, file="model.safetensors", offset=PIECE_BYTES + 7)
    assert b"".join(others) == LARGE[PIECE_BYTES + 7 :]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"file": "config.json", "offset": 10**6}, "offset"),
        ({"file": "config.json", "offset": -1}, "offset"),
        ({"offset": 1}, "offset"),
        ({"file": "../config.json"}, "file"),
    ],
)
def test_a_download_of_what_is_not_there_is_refused(stubs, saved, fields, field):
    request = checkpoints_pb2.DownloadCheckpointRequest(job_id=saved.job.id, step="4", **fields)

    _, refusal = refusal_by_grpc(lambda: stubs.checkpoints.DownloadCheckpoint(request))

    assert refusal.fields == [field]


def test_an_archive_of_the_model_is_a_tar_file_of_the_size_that_was_said(stubs, saved):
    first, chunks = download(stubs, saved)
    archive = b"".join(chunks)

    assert (first.size_bytes, first.sha256) == (len(archive), "")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]
    assert names == [*LOADABLE, "manifest.json"]
    _, with_optimizer = download(stubs, saved, include_optimizer=True)
    assert len(b"".join(with_optimizer)) > len(archive)


def test_a_download_that_is_given_up_frees_its_place(stubs, operations, saved, wait_until):
    request = checkpoints_pb2.DownloadCheckpointRequest(job_id=saved.job.id, step="4")
    stream = stubs.checkpoints.DownloadCheckpoint(request)
    next(stream)
    stream.cancel()

    wait_until(lambda: operations.limits._streams_by_caller == {})
    with pytest.raises(grpc.RpcError):
        next(stream)


def test_an_export_is_a_job_and_the_same_request_id_gives_the_same(stubs, settings, saved):
    folder = spec_pb2.ExportDestination(folder=spec_pb2.FolderDestination(path="students/first"))
    request = checkpoints_pb2.ExportCheckpointRequest(
        job_id=saved.job.id, step="2", destination=folder, labels={"to": "here"}, request_id="once"
    )

    job = stubs.checkpoints.ExportCheckpoint(request).job

    assert (job.state, job.spec.kind) == (jobs_pb2.JOB_STATE_QUEUED, spec_pb2.JOB_KIND_EXPORT)
    assert (job.spec.job_id, job.spec.step, dict(job.labels)) == (saved.job.id, 2, {"to": "here"})
    assert job.spec.destination == folder
    assert stubs.checkpoints.ExportCheckpoint(request).job == job


def test_a_client_that_takes_nothing_is_let_go(stubs, operations, saved, wait_until, monkeypatch):
    monkeypatch.setattr(stream_loop, "STALL_S", 0.3)
    request = checkpoints_pb2.DownloadCheckpointRequest(job_id=saved.job.id, step="4")
    stream = stubs.checkpoints.DownloadCheckpoint(request)
    next(stream)
    assert operations.limits._streams_by_caller

    wait_until(lambda: operations.limits._streams_by_caller == {})
    with pytest.raises(grpc.RpcError) as ended:
        list(stream)
    assert ended.value.code() is grpc.StatusCode.CANCELLED
