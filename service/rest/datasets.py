"""/v1/datasets: problem sets that are uploaded once and named by jobs."""

import os
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from service.datasets import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, too_large
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.datasets import Dataset, DatasetPage
from service.jobs.problem_sources import EXAMPLE_ID
from service.rest.answers import json_response
from service.rest.closing_stream import ClosingStream
from service.rest.json_examples import json_example
from service.rest.parameters import FromApp, PageToken, problem
from service.rest.streamed_body import answer_streamed

PATH = "/v1/datasets"
STREAMED = (("POST", PATH),)
MEDIA_TYPES = ("application/x-ndjson", "application/jsonl")
PIECE_BYTES = 256 * 2**10
EXAMPLE_CONTENT = (
    '{"id": "sum-1", "problem": "What is 17 + 25?", "answer": "42"}\n'
    '{"id": "sum-2", "problem": "What is 8 · 7?", "answer": 56}\n'
)
EXAMPLE_DATASET = Dataset.model_validate(
    {
        "id": EXAMPLE_ID,
        "name": "sums",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "num_problems": 2,
        "num_answers": 2,
        "size_bytes": 123,
        "created_at": "2026-01-02T10:00:00Z",
    }
)
EXAMPLE_PAGE = DatasetPage(datasets=(EXAMPLE_DATASET,), next_page_token=None)
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "JSONL: `problem` a line, and for a benchmark `id` and `answer`.",
        "content": {
            media_type: {"schema": {"type": "string"}, "example": EXAMPLE_CONTENT}
            for media_type in MEDIA_TYPES
        },
    }
}

DatasetId = Annotated[str, Path(description="`ds-` and 32 hexadecimal digits.")]
NO_DATASET: dict[int | str, dict[str, Any]] = {404: problem("No data set has this id.")}

router = APIRouter(
    prefix=PATH, tags=["datasets"], responses={"default": problem("Any other error.")}
)


def _answered(example: DatasetPage | Dataset, description: str) -> dict[str, Any]:
    return {"description": description} | json_example(example)


@router.post(
    "",
    status_code=201,
    response_model=Dataset,
    summary="Upload a problem set",
    openapi_extra=BODY,
    responses={
        201: _answered(EXAMPLE_DATASET, "The set. `Location` is its address."),
        200: _answered(EXAMPLE_DATASET, "The set that has this content already.")
        | {"model": Dataset},
        400: problem("A bad parameter, or the body stopped coming."),
        413: problem("The content is too large (DRIFTGATE_MAX_DATASET_BYTES)."),
        415: problem("The body is not said to be JSONL."),
        422: problem("A row cannot be used; `violations` names its line, as `content.3`."),
        429: problem("Too many uploads at once."),
    },
)
async def upload_dataset(
    request: Request,
    operations: FromApp,
    name: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description="For people.", examples=["sums"]),
    ] = None,
) -> Response:
    """The body is JSONL, of any length up to the limit, and is checked row by row while it arrives.

    The same content is the same set, whoever uploads it and under whatever name: its id is the start of
    its SHA-256, and the first name stays. An upload that breaks off or is refused leaves nothing.
    """

    def receive(pieces: Iterator[bytes]) -> Response:
        _check_headers(request, max_bytes=operations.datasets.max_bytes)
        upload = operations.datasets.receive(pieces, name=name)
        location = f"{PATH}/{upload.dataset.id}"
        status_code = 201 if upload.is_new else 200
        return json_response(
            upload.dataset, status_code=status_code, headers={"Location": location}
        )

    return await answer_streamed(request, receive)


@router.get(
    "",
    summary="List problem sets, newest first",
    responses={200: _answered(EXAMPLE_PAGE, "A page."), 400: problem("A bad parameter.")},
)
def list_datasets(
    operations: FromApp,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
) -> DatasetPage:
    """Those that were uploaded and not deleted; files below the dataset root are not among them."""
    return operations.datasets.list(limit=page_size, page_token=page_token)


@router.get(
    "/{dataset_id:id}",
    summary="Get a problem set",
    responses=NO_DATASET | {200: _answered(EXAMPLE_DATASET, "The set without its content.")},
)
def get_dataset(dataset_id: DatasetId, operations: FromApp) -> Dataset:
    """Its name, hash and counts. A job names it as `{"source": "dataset", "dataset_id": …}`."""
    return operations.datasets.get(dataset_id)


@router.get(
    "/{dataset_id:id}/content",
    summary="Download a problem set",
    response_class=StreamingResponse,
    responses=NO_DATASET
    | {
        200: {
            "description": "Byte for byte what was uploaded.",
            "content": {MEDIA_TYPES[0]: {"schema": {"type": "string"}, "example": EXAMPLE_CONTENT}},
        }
    },
)
def download_dataset(dataset_id: DatasetId, operations: FromApp) -> StreamingResponse:
    """The content as a stream of JSONL."""
    dataset, content = operations.datasets.open_content(dataset_id)
    return ClosingStream(
        _pieces(content),
        source=content,
        media_type=MEDIA_TYPES[0],
        headers={
            "Content-Length": str(os.fstat(content.fileno()).st_size),
            "Content-Disposition": f'attachment; filename="{dataset.id}.jsonl"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.delete(
    "/{dataset_id:id}",
    status_code=204,
    summary="Delete a problem set",
    responses=NO_DATASET
    | {
        204: {"description": "It is gone."},
        409: problem("A job that has not ended needs it."),
    },
)
def delete_dataset(dataset_id: DatasetId, operations: FromApp) -> None:
    """Jobs that ended keep their results; a regrade of one finds its problems no more."""
    operations.datasets.delete(dataset_id)


def _check_headers(request: Request, *, max_bytes: int) -> None:
    """Raises UNSUPPORTED_MEDIA_TYPE and PAYLOAD_TOO_LARGE before the body is asked for."""
    content_type = request.headers.get("content-type", "")
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "").removeprefix("charset=")
    if media_type.strip().lower() not in MEDIA_TYPES or charset not in ("", "utf-8", "utf8"):
        raise _unsupported("content-type", content_type, allowed=" or ".join(MEDIA_TYPES))
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise _unsupported("content-encoding", encoding, allowed="none")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) < 20 and int(length) > max_bytes:
        raise too_large(max_bytes)


def _unsupported(header: str, given: str, *, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.UNSUPPORTED_MEDIA_TYPE,
        f"The body came with {header} {given[:100] or 'nothing'!r}; allowed: {allowed}. Send JSONL in "
        "UTF-8 as it is.",
        [Violation(header, given[:100] or "nothing", allowed)],
    )


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(PIECE_BYTES):
        yield piece
