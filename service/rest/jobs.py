"""/v1/jobs: each endpoint translates one call of the operations."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response

from service.jobs.job_queries import JobFilter, JobOrder
from service.jobs.patches import JobPatch
from service.jobs.plans import Plan
from service.jobs.results import Job, JobAttempts, JobEventPage, JobPage
from service.jobs.spec import AnyJobSpec
from service.operations import DEFAULT_NUM_EVENTS, DEFAULT_PAGE_SIZE, MAX_COUNT, MAX_PAGE_SIZE
from service.rest.answers import job_response, json_response, submitted_response
from service.rest.conditional import NOT_MODIFIED, UNLESS_KNOWN, IfNoneMatch, TagOfJob, unless_same
from service.rest.history_examples import EXAMPLE_ATTEMPTS, EXAMPLE_EVENT_PAGE
from service.rest.job_answer_examples import (
    EXAMPLE_CANCELLING,
    EXAMPLE_JOB_PAGE,
    EXAMPLE_PATCHED,
    EXAMPLE_PAUSING,
    EXAMPLE_RESUMED,
    EXAMPLE_SUBMITTED,
)
from service.rest.job_examples import EXAMPLES, PATCH_EXAMPLES
from service.rest.job_filters import job_filter
from service.rest.json_examples import json_example, request_examples
from service.rest.parameters import (
    NOT_FOUND,
    FromApp,
    FromCaller,
    IdempotencyKey,
    IfMatch,
    JobId,
    PageToken,
    problem,
    version_of_etag,
)
from service.rest.plan_examples import EXAMPLE_PLAN

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses={"default": problem("Any other error.")}
)


@router.post(
    "",
    status_code=201,
    response_model=Job,
    summary="Submit a job, or ask what it would take",
    response_description="The job, queued. `Location` is its address.",
    responses={
        200: {"model": Plan, "description": "With `validate_only`: the plan. Nothing was created."}
        | json_example(EXAMPLE_PLAN),
        201: json_example(EXAMPLE_SUBMITTED),
        400: problem("The body is not JSON."),
        404: problem("No job has the id that the spec names."),
        409: problem("The idempotency key came with another spec before."),
        413: problem("The body is too large."),
        422: problem("The spec cannot run; `violations` names each field."),
        503: problem("The database or the model hub does not answer."),
    },
)
def create_job(
    spec: Annotated[AnyJobSpec, Body(openapi_examples=request_examples(EXAMPLES))],
    operations: FromApp,
    caller: FromCaller,
    idempotency_key: IdempotencyKey,
    validate_only: Annotated[  # noqa: FBT002 a query parameter has no position
        bool,
        Query(description="Check and plan only: memory, tokens, FLOPs, time. Create nothing."),
    ] = False,
) -> Response:
    """Checks the spec, the models' configs and tokenizers and the problem sets, then queues the job.

    Warnings about what is legal but probably not meant are in the job. With `validate_only` the same
    specs are refused in the same words, and the answer to any other is its plan.
    """
    if validate_only:
        return json_response(operations.plan_job(spec))
    job = operations.submit_job(spec, idempotency_key=idempotency_key, caller=caller)
    return submitted_response(job)


@router.get(
    "",
    response_model=JobPage,
    summary="List jobs",
    responses=NOT_MODIFIED
    | {200: json_example(EXAMPLE_JOB_PAGE), 400: problem("A bad parameter.")},
)
def list_jobs(
    *,
    operations: FromApp,
    wanted: Annotated[JobFilter, Depends(job_filter)],
    order_by: Annotated[JobOrder, Query()] = JobOrder.NEWEST,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Newest first unless asked otherwise. A page token belongs to the filters and the order it came with.

    A page of long specs holds fewer jobs than `page_size`, although more follow: `next_page_token` tells.
    """
    page = operations.list_jobs(
        limit=page_size, page_token=page_token, wanted=wanted, order=order_by
    )
    return unless_same(page, if_none_match=if_none_match)


@router.patch(
    "/{job_id:id}",
    response_model=Job,
    summary="Change labels or priority",
    responses=NOT_FOUND
    | {
        200: json_example(EXAMPLE_PATCHED),
        409: problem("The priority of a job that has ended."),
        400: problem("A label or a priority that is not allowed."),
        412: problem("The job is not of the version in `If-Match`."),
    },
)
def patch_job(
    job_id: JobId,
    patch: Annotated[JobPatch, Body(openapi_examples=request_examples(PATCH_EXAMPLES))],
    operations: FromApp,
    if_match: IfMatch = None,
) -> Response:
    """A JSON merge patch: what is not named stays, a label of null goes."""
    return job_response(operations.patch_job(job_id, patch, if_version=version_of_etag(if_match)))


def _verb(
    name: str, summary: str, conflict: str, *, answer: Job
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return router.post(
        f"/{{job_id:id}}:{name}",
        response_model=Job,
        summary=summary,
        responses=NOT_FOUND | {200: json_example(answer), 409: problem(conflict)},
    )


@_verb(
    "cancel", "Cancel a job", "The job has already succeeded or failed.", answer=EXAMPLE_CANCELLING
)
def cancel_job(job_id: JobId, operations: FromApp) -> Response:
    """A waiting job is cancelled at once; a running one as soon as its worker hears of it.

    Asking again changes nothing.
    """
    return job_response(operations.cancel_job(job_id))


@_verb("pause", "Pause a job", "The job has ended or is being cancelled.", answer=EXAMPLE_PAUSING)
def pause_job(job_id: JobId, operations: FromApp) -> Response:
    """A waiting job is paused at once; a running one once its worker has saved a checkpoint.

    Asking again changes nothing.
    """
    return job_response(operations.pause_job(job_id))


@_verb(
    "resume",
    "Resume a paused job",
    "The job has ended or is being cancelled.",
    answer=EXAMPLE_RESUMED,
)
def resume_job(job_id: JobId, operations: FromApp) -> Response:
    """It waits again and goes on from its newest checkpoint. Nothing changes for a job that waits or runs."""
    return job_response(operations.resume_job(job_id))


@router.delete(
    "/{job_id:id}",
    status_code=204,
    summary="Delete a job that has ended",
    responses=NOT_FOUND | {409: problem("The job has not ended, or another job needs it.")},
)
def delete_job(job_id: JobId, operations: FromApp) -> None:
    """With its metrics, results, samples and checkpoints. Deleting it again changes nothing."""
    operations.delete_job(job_id)


@router.get(
    "/{job_id:id}/attempts",
    summary="Who worked on a job, and how it went",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_ATTEMPTS)},
    dependencies=[UNLESS_KNOWN],
)
def list_attempts(job_id: JobId, operations: FromApp) -> JobAttempts:
    """Oldest first; an attempt that was cut off is followed by one that goes on from a checkpoint."""
    return operations.list_attempts(job_id)


@router.get(
    "/{job_id:id}/events",
    summary="History of a job, oldest first",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_EVENT_PAGE)},
)
def list_events(
    job_id: JobId,
    operations: FromApp,
    tag: TagOfJob,
    after: Annotated[int, Query(ge=0, le=MAX_COUNT, description="Only events after this seq.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_NUM_EVENTS,
) -> JobEventPage:
    tag.spare_known()
    return operations.list_events(job_id, after=after, limit=limit)
