import hashlib
import threading

import grpc
import pytest

from service.operations import build_operations
from service.rpc import stream_loop
from service.rpc.convert import message_of
from service.rpc.generated.driftgate.v1 import datasets_pb2, jobs_pb2, spec_pb2
from tests.service.rpc.parity_worlds import SPEC
from tests.service.rpc.refusals import refusal_by_grpc

ROWS = b"".join(
    b'{"id": "%d", "problem": "%d+1", "answer": "%d"}\n' % (n, n, n + 1) for n in range(500)
)


def upload(stubs, content=ROWS, *, piece_bytes=1000, name="sums"):
    pieces = [
        datasets_pb2.UploadDatasetRequest(chunk=content[start : start + piece_bytes])
        for start in range(0, len(content), piece_bytes)
    ]
    pieces[0].name = name
    return stubs.datasets.UploadDataset(iter(pieces)).dataset


def test_a_set_is_uploaded_in_pieces_read_listed_used_and_deleted(stubs):
    dataset = upload(stubs)

    assert (dataset.name, dataset.num_problems, dataset.num_answers) == ("sums", 500, 500)
    assert dataset.sha256 == hashlib.sha256(ROWS).hexdigest()
    of_set = {"dataset_id": dataset.id}
    assert stubs.datasets.GetDataset(datasets_pb2.GetDatasetRequest(**of_set)).dataset == dataset
    listed = stubs.datasets.ListDatasets(datasets_pb2.ListDatasetsRequest())
    assert list(listed.datasets) == [dataset]
    content = stubs.datasets.DownloadDataset(datasets_pb2.DownloadDatasetRequest(**of_set))
    assert b"".join(answer.chunk for answer in content) == ROWS

    source = {"problems": {"source": "dataset", **of_set}}
    spec = message_of(spec_pb2.JobSpec, SPEC | {"prompts": source})
    job = stubs.jobs.CreateJob(jobs_pb2.CreateJobRequest(spec=spec)).job
    assert job.spec.prompts.problems.dataset.dataset_id == dataset.id
    stubs.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id))

    stubs.datasets.DeleteDataset(datasets_pb2.DeleteDatasetRequest(**of_set))
    _, refusal = refusal_by_grpc(
        lambda: stubs.datasets.GetDataset(datasets_pb2.GetDatasetRequest(**of_set))
    )
    assert refusal.code == "RESOURCE_NOT_FOUND"


def test_the_same_content_cut_elsewhere_is_the_same_set_under_its_first_name(stubs):
    first = upload(stubs, piece_bytes=7)

    assert upload(stubs, piece_bytes=100_000, name="others") == first


def test_a_row_that_is_none_is_refused_by_its_line_and_nothing_stays(stubs, settings):
    content = ROWS + b'{"problem": 7}\n'

    code, refusal = refusal_by_grpc(lambda: upload(stubs, content))

    assert (code, refusal.code) == (grpc.StatusCode.FAILED_PRECONDITION, "DATASET_INVALID")
    assert "501" in refusal.message
    assert not stubs.datasets.ListDatasets(datasets_pb2.ListDatasetsRequest()).datasets
    assert [path for path in settings.uploads_folder().rglob("*") if path.is_file()] == []


def test_an_upload_that_breaks_off_leaves_nothing_and_frees_its_place(
    stubs, operations, settings, wait_until
):
    def half():
        yield datasets_pb2.UploadDatasetRequest(chunk=ROWS)
        raise ConnectionError("the client dies")

    with pytest.raises(grpc.RpcError):
        stubs.datasets.UploadDataset(half())

    wait_until(lambda: operations.limits._streams_by_caller == {})
    assert [path for path in settings.uploads_folder().rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([], "DATASET_INVALID"),
        ([{"name": "", "chunk": ROWS}], "INVALID_ARGUMENT"),
        ([{"chunk": ROWS}, {"name": "late"}], "INVALID_ARGUMENT"),
    ],
)
def test_an_upload_of_nothing_or_of_a_bad_name_is_refused(stubs, pieces, code):
    requests = [datasets_pb2.UploadDatasetRequest(**piece) for piece in pieces]

    _, refusal = refusal_by_grpc(lambda: stubs.datasets.UploadDataset(iter(requests)))

    assert refusal.code == code


def test_a_set_beyond_the_limit_is_refused(start_server, settings_factory, sqlite_url, exit_stack):
    settings = settings_factory(database_url=sqlite_url, grpc_port=0, max_dataset_bytes=2000)
    operations = build_operations(settings)
    exit_stack.callback(operations.close)
    _, stubs = start_server(operations, settings)

    code, refusal = refusal_by_grpc(lambda: upload(stubs))

    assert (code, refusal.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE")


def test_a_client_that_sends_nothing_more_is_let_go(stubs, operations, wait_until, monkeypatch):
    monkeypatch.setattr(stream_loop, "STALL_S", 0.3)
    is_over = threading.Event()

    def half():
        yield datasets_pb2.UploadDatasetRequest(chunk=ROWS)
        is_over.wait(30)

    with pytest.raises(grpc.RpcError) as ended:
        stubs.datasets.UploadDataset(half())
    is_over.set()

    assert ended.value.code() is grpc.StatusCode.CANCELLED
    wait_until(lambda: operations.limits._streams_by_caller == {})
