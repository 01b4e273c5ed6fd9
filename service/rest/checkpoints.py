"""/v1/jobs/{id}/checkpoints: saved students listed, downloaded and exported."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from service.checkpoint_files import Part
from service.jobs.checkpoint_manifest import CheckpointContent
from service.jobs.export_spec import ExportRequest
from service.jobs.results import Job, JobCheckpoints
from service.jobs.text_patterns import CHECKPOINT_STEP
from service.rest.answers import REVALIDATE, job_response
from service.rest.byte_ranges import ReadableRange
from service.rest.checkpoint_examples import EXAMPLE_CHECKPOINTS, EXAMPLE_CONTENT, EXPORT_EXAMPLES
from service.rest.closing_stream import ClosingStream
from service.rest.conditional import (
    NOT_MODIFIED,
    UNLESS_KNOWN,
    IfNoneMatch,
    is_known,
    not_modified,
    unless_same,
)
from service.rest.job_answer_examples import EXAMPLE_EXPORT_JOB
from service.rest.json_examples import json_example, request_examples
from service.rest.local_file import local_file_response
from service.rest.parameters import NOT_FOUND, FromApp, FromCaller, IdempotencyKey, JobId, problem
from service.rest.stored_file import stored_file_response

NOT_HERE: dict[int | str, dict[str, Any]] = {
    404: problem(
        "No job has this id, it keeps no such checkpoint or file, or this host does not see the "
        "artifact store."
    )
}
CORRUPT: dict[int | str, dict[str, Any]] = {
    500: problem("The files are not those that were saved.")
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": BINARY}},
    206: {
        "description": "The part that `Range` asks for.",
        "content": {"application/octet-stream": BINARY, "multipart/byteranges": BINARY},
    },
    400: problem("A bad parameter."),
    416: problem(
        "All of `Range` lies beyond the end of the file; `Content-Range` says how long it is."
    ),
}


Step = Annotated[
    str,
    Path(
        pattern=CHECKPOINT_STEP,
        description="A saved step, `latest`, or `final`: what the job saved at its end.",
        examples=["final"],
    ),
]

router = APIRouter(
    prefix="/v1/jobs/{job_id:id}/checkpoints",
    tags=["checkpoints"],
    responses={"default": problem("Any other error.")},
)


@router.get(
    "",
    summary="Saved students, newest first",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_CHECKPOINTS)},
    dependencies=[UNLESS_KNOWN],
)
def list_checkpoints(job_id: JobId, operations: FromApp) -> JobCheckpoints:
    """Each is a folder that transformers loads, with its tokenizer."""
    return operations.checkpoints(job_id)


@router.get(
    "/{step:id}:archive",
    response_class=StreamingResponse,
    summary="Download a checkpoint as a tar file",
    response_description="The archive; its size is known from the start.",
    responses={200: {"content": {"application/x-tar": BINARY}}, 400: problem("A bad parameter.")}
    | NOT_HERE
    | CORRUPT,
)
def get_archive(
    job_id: JobId,
    step: Step,
    operations: FromApp,
    include: Annotated[
        list[Part], Query(description="`optimizer`: also what only a resume needs.")
    ] = [],  # noqa: B006
) -> StreamingResponse:
    """One folder with the model's files, and a manifest of their sizes and hashes as the last of them.

    Where a file turns out not to be what was saved, the stream breaks off before its end.
    """
    archive = operations.checkpoint_files.archive(job_id, step, include=include)
    headers = {
        "Content-Length": str(archive.size_bytes),
        "Content-Disposition": f'attachment; filename="{archive.file_name}"',
        "Cache-Control": REVALIDATE,
    }
    return ClosingStream(
        archive.chunks, source=archive.chunks, headers=headers, media_type="application/x-tar"
    )


@router.post(
    "/{step:id}:export",
    status_code=201,
    response_model=Job,
    summary="Export a checkpoint",
    response_description="The job that copies it, queued. `Location` is its address.",
    responses=NOT_FOUND
    | {
        201: json_example(EXAMPLE_EXPORT_JOB),
        400: problem("The body is not of the schema."),
        409: problem("The idempotency key came with another request before."),
        422: problem("The destination is not allowed, or not free."),
    },
)
def export_checkpoint(
    *,
    job_id: JobId,
    step: Step,
    body: Annotated[ExportRequest, Body(openapi_examples=request_examples(EXPORT_EXAMPLES))],
    operations: FromApp,
    caller: FromCaller,
    idempotency_key: IdempotencyKey,
) -> Response:
    """A job of kind `export`, as `POST /v1/jobs` takes it too: a worker copies the model's files.

    `latest` is what is newest when the worker begins.
    """
    spec = operations.checkpoint_files.export_spec(job_id, step, body)
    job = operations.submit_job(spec, idempotency_key=idempotency_key, caller=caller)
    return job_response(job, status_code=201, headers={"Location": f"/v1/jobs/{job.id}"})


@router.get(
    "/{step:id}",
    response_model=CheckpointContent,
    summary="Get a checkpoint and its files",
    responses=NOT_HERE
    | CORRUPT
    | NOT_MODIFIED
    | {200: json_example(EXAMPLE_CONTENT), 400: problem("A bad parameter.")},
)
def get_checkpoint(
    job_id: JobId, step: Step, operations: FromApp, if_none_match: IfNoneMatch = None
) -> Response:
    """Sizes and hashes as its manifest has them; the files themselves are not read."""
    content = operations.checkpoint_files.content(job_id, step)
    return unless_same(content, if_none_match=if_none_match)


@router.get(
    "/{step:id}/files/{name:path}",
    response_class=FileResponse,
    summary="Download one file of a checkpoint",
    response_description="The file. Its ETag is its SHA-256.",
    responses=FILE | NOT_MODIFIED | NOT_HERE | CORRUPT,
)
def get_file(
    *,
    job_id: JobId,
    step: Step,
    name: Annotated[str, Path(max_length=1000, description="As the checkpoint lists it.")],
    operations: FromApp,
    asked: ReadableRange,
    if_none_match: IfNoneMatch = None,
    if_range: Annotated[str | None, Header(max_length=200, description="The ETag.")] = None,
) -> Response:
    """A download that was cut goes on with `Range`, and `If-Range` with the ETag."""
    file = operations.checkpoint_files.open_file(job_id, step, name)
    etag = f'"{file.sha256}"'
    if is_known(if_none_match, etag):
        return not_modified(etag)
    headers = {"ETag": etag, "Cache-Control": REVALIDATE, "X-Content-Type-Options": "nosniff"}
    if file.path is None:
        return stored_file_response(file, asked=asked, if_range=if_range, headers=headers)
    return local_file_response(file, file.path, asked=asked, if_range=if_range, headers=headers)
