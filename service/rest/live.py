"""/v1/jobs as dashboards follow them: cheap polls, long polls, the feed of changes, event streams.

The endpoints wait in the event loop; what reads the database runs in a thread and is over before they wait.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from service.jobs.results import Job, JobBatch, JobChanges
from service.operations import DEFAULT_PAGE_SIZE, MAX_BATCH_SIZE, MAX_COUNT, MAX_PAGE_SIZE
from service.rest.answers import REVALIDATE, etag_of_version, job_response, json_response
from service.rest.conditional import (
    NOT_MODIFIED,
    IfNoneMatch,
    etag_of_versions,
    is_known,
    not_modified,
)
from service.rest.event_stream import EventStreamResponse, job_changes, job_events
from service.rest.history_examples import EXAMPLE_EVENT_STREAM
from service.rest.job_answer_examples import EXAMPLE_JOB
from service.rest.json_examples import json_example
from service.rest.live_examples import EXAMPLE_BATCH, EXAMPLE_CHANGES, EXAMPLE_WATCH
from service.rest.parameters import (
    NOT_FOUND,
    FromApp,
    FromCaller,
    JobId,
    WhileAccepted,
    problem,
)
from service.rest.preferences import Prefer, preference_applied, preferred_wait_s

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses={"default": problem("Any other error.")}
)

FeedToken = Annotated[
    str | None,
    Query(
        max_length=1000, description="`next_after` of the answer before; none: the token of now."
    ),
]


def _stream(example: str) -> dict[str, Any]:
    return {"content": {EventStreamResponse.media_type: {"example": example}}}


async def _place_for_a_stream(operations: FromApp, caller: FromCaller) -> AsyncIterator[None]:
    with operations.limits.stream(caller):
        yield  # until the answer has ended


HOLDS_A_STREAM = Depends(_place_for_a_stream)
STREAM_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: problem("A bad place to go on from."),
    429: problem("Too many streams."),
}


@router.get(
    "/{job_id:id}",
    response_model=Job,
    summary="Get a job",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_JOB)},
)
async def get_job(
    job_id: JobId,
    operations: FromApp,
    while_accepted: WhileAccepted,
    if_none_match: IfNoneMatch = None,
    prefer: Prefer = None,
) -> Response:
    """State, phase, progress, warnings, failure and the spec with every default filled in.

    `ETag` is the job's version. With `If-None-Match` an unchanged job is a 304 without a body; with
    `Prefer: wait=30` too, the answer comes as soon as the job changes, and the 304 after 30 s. With
    `Prefer: wait` alone it comes when the job has ended, or as the job is by then.
    """
    wait_s = preferred_wait_s(prefer)
    applied = preference_applied(wait_s)
    if if_none_match is not None:
        version = await run_in_threadpool(operations.job_version, job_id)
        etag = etag_of_version(version)
        if is_known(if_none_match, etag):
            if not wait_s:
                return not_modified(etag)
            async with while_accepted:
                has_changed = await operations.tailer.wait_for_version(
                    job_id, other_than=version, timeout_s=wait_s
                )
            if not has_changed:
                return not_modified(etag, headers=applied)
    elif wait_s:
        async with while_accepted:
            await operations.tailer.wait_for_end(job_id, timeout_s=wait_s)
    return job_response(await run_in_threadpool(operations.get_job, job_id), headers=applied)


@router.get(
    ":batchGet",
    response_model=JobBatch,
    summary="Get several jobs",
    responses=NOT_MODIFIED
    | {200: json_example(EXAMPLE_BATCH), 400: problem("No id, or too many.")},
)
async def batch_get_jobs(
    operations: FromApp,
    job_id: Annotated[
        list[str], Query(min_length=1, max_length=MAX_BATCH_SIZE, description="Repeatable.")
    ],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """In the order of the ids. One that no job has is in `missing`, and no error.

    `ETag` changes as soon as one of the jobs does.
    """
    marks = await run_in_threadpool(operations.job_marks, job_id)
    etag = etag_of_versions(job_id, {each: mark.version for each, mark in marks.items()})
    if is_known(if_none_match, etag):
        return not_modified(etag)
    batch = await run_in_threadpool(operations.get_jobs, job_id)
    return json_response(batch, headers={"ETag": etag, "Cache-Control": REVALIDATE})


@router.get(
    ":changes",
    response_model=JobChanges,
    summary="Jobs that changed since",
    responses={200: json_example(EXAMPLE_CHANGES), 400: problem("A token of another feed.")},
)
async def list_changes(
    operations: FromApp,
    while_accepted: WhileAccepted,
    after: FeedToken = None,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    prefer: Prefer = None,
) -> Response:
    """Each job once, as it is now, in the order in which they changed; null where it was deleted.

    To hold a copy of all jobs: take the token of now, then list the jobs, then follow from the token. In this
    order no change is missed; one may be seen twice. An answer of long specs holds fewer changes than
    `page_size`, although more follow. With `Prefer: wait=30` an empty answer is held back
    until there is a change.
    """
    wait_s = preferred_wait_s(prefer)
    changes = await run_in_threadpool(operations.list_changes, after=after, limit=page_size)
    if wait_s and after is not None and not changes.changes:
        async with while_accepted:
            await operations.tailer.wait_for_change(after, timeout_s=wait_s)
        changes = await run_in_threadpool(operations.list_changes, after=after, limit=page_size)
    headers = {"Cache-Control": "no-store"} | preference_applied(wait_s)
    return json_response(changes, headers=headers)


@router.get(
    ":watch",
    response_class=EventStreamResponse,
    status_code=200,  # FastAPI cannot tell it from the class
    summary="Stream of the jobs that change",
    responses=STREAM_ANSWERS | {200: _stream(EXAMPLE_WATCH)},
    dependencies=[HOLDS_A_STREAM],
)
async def watch_jobs(
    operations: FromApp,
    while_accepted: WhileAccepted,
    after: FeedToken = None,
    last_event_id: Annotated[
        str | None, Header(max_length=1000, description="As EventSource sends it; it wins.")
    ] = None,
) -> Response:
    """Server-sent events: `changed` with a change of the feed, its token as the id. It never ends by itself.

    The first id is the token from which the stream goes on: list the jobs after it came. A comment comes where
    nothing else has for a while.
    """
    token = last_event_id or after
    now = await run_in_threadpool(operations.list_changes, after=token, limit=1)
    token = token or now.next_after
    subscription = operations.tailer.subscribe_to_changes(token)
    return EventStreamResponse(
        job_changes(subscription, token=token), while_accepted=while_accepted
    )


@router.get(
    "/{job_id:id}/events:stream",
    response_class=EventStreamResponse,
    status_code=200,  # FastAPI cannot tell it from the class
    summary="Stream of a job's history, until it ends",
    responses=NOT_FOUND
    | STREAM_ANSWERS
    | {
        200: _stream(EXAMPLE_EVENT_STREAM),
        204: {"description": "The job has ended, and all of its events came before."},
    },
    dependencies=[HOLDS_A_STREAM],
)
async def stream_events(
    *,
    job_id: JobId,
    operations: FromApp,
    while_accepted: WhileAccepted,
    after: Annotated[int, Query(ge=0, le=MAX_COUNT, description="Only events after this seq.")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=MAX_COUNT, description="As EventSource sends it; it wins.")
    ] = None,
) -> Response:
    """Server-sent events: what there is, then what comes, each with its seq as the id and its type as the event.

    After the event by which the job ended comes one `end`, and the stream ends. A client that comes back then gets
    204, at which EventSource stops. A comment comes where nothing else has for a while.
    """
    place = after if last_event_id is None else last_event_id
    if await run_in_threadpool(operations.has_told_all, job_id, after=place):
        return Response(status_code=204)
    subscription = operations.tailer.subscribe(job_id, after_seq=place)
    return EventStreamResponse(job_events(subscription), while_accepted=while_accepted)
