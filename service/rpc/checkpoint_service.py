"""CheckpointService: saved students, their bytes, and copies of them elsewhere."""

from collections.abc import Iterable, Iterator

from service.checkpoint_files import OpenedFile
from service.jobs.access import Caller
from service.jobs.export_spec import ExportRequest
from service.operations import Operations
from service.rpc.convert import job_message, view_message
from service.rpc.generated.driftgate.v1 import checkpoints_pb2 as pb
from service.rpc.requests import parse_body, require

# Clients accept 4 MiB by default; more than this makes nothing faster.
PIECE_BYTES = 256 * 1024


class CheckpointService:
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, _caller: Caller
    ) -> pb.ListCheckpointsResponse:
        checkpoints = self._operations.checkpoints(request.job_id)
        return view_message(pb.ListCheckpointsResponse, checkpoints)

    def GetCheckpoint(
        self, request: pb.GetCheckpointRequest, _caller: Caller
    ) -> pb.GetCheckpointResponse:
        content = self._operations.checkpoint_files.content(request.job_id, request.step)
        return view_message(pb.GetCheckpointResponse, content)

    def DownloadCheckpoint(
        self, request: pb.DownloadCheckpointRequest, _caller: Caller
    ) -> Iterator[pb.DownloadCheckpointResponse]:
        return self._file(request) if request.file else self._archive(request)

    def ExportCheckpoint(
        self, request: pb.ExportCheckpointRequest, caller: Caller
    ) -> pb.ExportCheckpointResponse:
        export = parse_body(ExportRequest, request, without=("job_id", "step", "request_id"))
        spec = self._operations.checkpoint_files.export_spec(request.job_id, request.step, export)
        job = self._operations.submit_job(
            spec, idempotency_key=request.request_id or None, caller=caller
        )
        return pb.ExportCheckpointResponse(job=job_message(job))

    def _file(
        self, request: pb.DownloadCheckpointRequest
    ) -> Iterator[pb.DownloadCheckpointResponse]:
        file = self._operations.checkpoint_files.open_file(
            request.job_id, request.step, request.file
        )
        size_bytes = file.size_bytes
        require(
            0 <= request.offset <= size_bytes,
            field="offset",
            given=request.offset,
            allowed=f"0 to {size_bytes}, the size of the file",
        )
        yield pb.DownloadCheckpointResponse(
            file_name=file.file_name, size_bytes=size_bytes, sha256=file.sha256
        )
        for piece in _pieces_of_file(file, offset=request.offset):
            yield pb.DownloadCheckpointResponse(chunk=piece)

    def _archive(
        self, request: pb.DownloadCheckpointRequest
    ) -> Iterator[pb.DownloadCheckpointResponse]:
        require(
            request.offset == 0, field="offset", given=request.offset, allowed="0, without `file`"
        )
        archive = self._operations.checkpoint_files.archive(
            request.job_id,
            request.step,
            include=("optimizer",) if request.include_optimizer else (),
        )
        yield pb.DownloadCheckpointResponse(
            file_name=archive.file_name, size_bytes=archive.size_bytes
        )
        for piece in _cut(archive.chunks):
            yield pb.DownloadCheckpointResponse(chunk=piece)


def _pieces_of_file(file: OpenedFile, *, offset: int) -> Iterator[bytes]:
    with file.open() as content:
        content.seek(offset)
        while piece := content.read(PIECE_BYTES):
            yield piece


def _cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), PIECE_BYTES):
            yield chunk[start : start + PIECE_BYTES]
