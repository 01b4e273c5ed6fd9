"""DatasetService: problem sets that are uploaded once and named by jobs."""

from collections.abc import Iterator

from service.datasets import DEFAULT_PAGE_SIZE
from service.jobs.access import Caller
from service.jobs.shown_input import shown
from service.operations import Operations
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import datasets_pb2 as pb
from service.rpc.requests import require, text_of

PIECE_BYTES = 256 * 1024


class DatasetService:
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._datasets = operations.datasets

    def UploadDataset(
        self, requests: Iterator[pb.UploadDatasetRequest], _caller: Caller
    ) -> pb.UploadDatasetResponse:
        first = next(requests, pb.UploadDatasetRequest())
        dataset = self._datasets.upload(_chunks(first, requests), name=text_of(first, "name"))
        return pb.UploadDatasetResponse(dataset=view_message(pb.Dataset, dataset))

    def GetDataset(self, request: pb.GetDatasetRequest, _caller: Caller) -> pb.GetDatasetResponse:
        dataset = self._datasets.get(request.dataset_id)
        return pb.GetDatasetResponse(dataset=view_message(pb.Dataset, dataset))

    def DownloadDataset(
        self, request: pb.DownloadDatasetRequest, _caller: Caller
    ) -> Iterator[pb.DownloadDatasetResponse]:
        _, content = self._datasets.open_content(request.dataset_id)
        with content:
            while piece := content.read(PIECE_BYTES):
                yield pb.DownloadDatasetResponse(chunk=piece)

    def ListDatasets(
        self, request: pb.ListDatasetsRequest, _caller: Caller
    ) -> pb.ListDatasetsResponse:
        page = self._datasets.list(
            limit=request.page_size or DEFAULT_PAGE_SIZE, page_token=request.page_token or None
        )
        return view_message(pb.ListDatasetsResponse, page)

    def DeleteDataset(
        self, request: pb.DeleteDatasetRequest, _caller: Caller
    ) -> pb.DeleteDatasetResponse:
        self._datasets.delete(request.dataset_id)
        return pb.DeleteDatasetResponse()


def _chunks(
    first: pb.UploadDatasetRequest, others: Iterator[pb.UploadDatasetRequest]
) -> Iterator[bytes]:
    yield first.chunk
    for request in others:
        require(
            not request.HasField("name"),
            field="name",
            given=shown(request.name),
            allowed="a name in the first message only",
        )
        yield request.chunk
