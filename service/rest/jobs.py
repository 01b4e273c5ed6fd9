"""/v1/jobs: each endpoint translates one call of the operations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Header, Query, Response
from fastapi.openapi.models import Example

from service.jobs.comparisons import SamplePlan
from service.jobs.job_queries import JobFilter
from service.jobs.plans import Plan
from service.jobs.results import (
    DriftMap,
    Job,
    JobCheckpoints,
    JobEventPage,
    JobMetrics,
    JobPage,
    JobResults,
    SamplePage,
    VerdictChanges,
)
from service.jobs.spec import AnyJobSpec
from service.jobs.state import JobState
from service.operations import DEFAULT_K, DEFAULT_PAGE_SIZE, DEFAULT_POWER, MAX_PAGE_SIZE
from service.rest.parameters import (
    MAX_COUNT,
    NOT_FOUND,
    AfterUpdate,
    FromApp,
    JobId,
    K,
    PageToken,
    Stage,
    problem,
)

EXAMPLE_SPEC = {
    "name": "arithmetic, top-K with the block gate",
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 2000}},
    "objective": {"type": "teacher_topk", "k": 4},
    "gate": {"granularity": "block", "block_size": 16},
    "steps": 30,
    "rollout": {
        "prompts_per_step": 16,
        "samples_per_prompt": 4,
        "max_prompt_tokens": 64,
        "max_response_tokens": 128,
        "top_p": 1.0,
    },
    "optimizer": {"learning_rate": 0.0004},
    "evaluation": {
        "benchmarks": [
            {"name": "arithmetic", "problems": {"source": "arithmetic", "num_problems": 200}}
        ],
        "max_response_tokens": 128,
        "top_p": 1.0,
    },
    "drift_map_block_size": 16,
    "seed": 7,
}
EXAMPLE_EVALUATION = {
    "kind": "evaluation",
    "model": {"model": "builtin/arithmetic-teacher"},
    "max_prompt_tokens": 64,
    "evaluation": EXAMPLE_SPEC["evaluation"],
}
EXAMPLES: dict[str, Example] = {
    "arithmetic": {"summary": "Distil the built-in student", "value": EXAMPLE_SPEC},
    "evaluation": {"summary": "Evaluate a model as it is", "value": EXAMPLE_EVALUATION},
    "regrade": {
        "summary": "Grade the samples of an ended job anew",
        "value": {"kind": "regrade", "job_id": "0199a8c2f3d07c4e9b1d5e6f7a8b9c0d"},
    },
}


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
        200: {"model": Plan, "description": "With `validate_only`: the plan. Nothing was created."},
        400: problem("The body is not JSON."),
        409: problem("The idempotency key came with another spec before."),
        413: problem("The body is too large."),
        422: problem("The spec cannot run; `violations` names each field."),
        503: problem("The database or the model hub does not answer."),
    },
)
def create_job(
    spec: Annotated[AnyJobSpec, Body(openapi_examples=EXAMPLES)],
    operations: FromApp,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(description="The same key and spec give the same job, however often they are sent."),
    ] = None,
    validate_only: Annotated[  # noqa: FBT002 a query parameter has no position
        bool,
        Query(description="Check and plan only: memory, tokens, FLOPs, time. Create nothing."),
    ] = False,
) -> Job | Response:
    """Checks the spec, the models' configs and tokenizers and the problem sets, then queues the job.

    Warnings about what is legal but probably not meant are in the job. With `validate_only` the same
    specs are refused in the same words, and the answer to any other is its plan.
    """
    if validate_only:
        plan = operations.plan_job(spec)
        return Response(plan.model_dump_json(), media_type="application/json")
    job = operations.submit_job(spec, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("", summary="List jobs, newest first", responses={400: problem("A bad parameter.")})
def list_jobs(
    operations: FromApp,
    state: Annotated[list[JobState], Query(description="Keep these states; repeatable.")] = [],  # noqa: B006
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
) -> JobPage:
    return operations.list_jobs(
        limit=page_size, page_token=page_token, wanted=JobFilter(states=tuple(state))
    )


@router.get("/{job_id}", summary="Get a job", responses=NOT_FOUND)
def get_job(job_id: JobId, operations: FromApp) -> Job:
    """State, phase, progress, warnings, failure and the spec with every default filled in."""
    return operations.get_job(job_id)


@router.post(
    "/{job_id}:cancel",
    summary="Cancel a job",
    responses=NOT_FOUND | {409: problem("The job has already succeeded or failed.")},
)
def cancel_job(job_id: JobId, operations: FromApp) -> Job:
    """A waiting job is cancelled at once; a running one as soon as its worker hears of it.

    Asking again changes nothing.
    """
    return operations.cancel_job(job_id)


@router.get("/{job_id}/events", summary="History of a job, oldest first", responses=NOT_FOUND)
def list_events(
    job_id: JobId,
    operations: FromApp,
    after: Annotated[int, Query(ge=0, le=MAX_COUNT, description="Only events after this seq.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> JobEventPage:
    return operations.list_events(job_id, after=after, limit=limit)


@router.get("/{job_id}/metrics", summary="Metrics of each update, in columns", responses=NOT_FOUND)
def get_metrics(
    job_id: JobId,
    operations: FromApp,
    names: Annotated[
        list[str], Query(description="Metric names of the catalogue, repeatable; all if none.")
    ] = [],  # noqa: B006
    after_update: AfterUpdate = 0,
) -> JobMetrics:
    """What a resumed attempt computed anew replaces what the attempt before it had written."""
    return operations.metrics(job_id, names=names, after_update=after_update)


@router.get(
    "/{job_id}/drift-map", summary="Drift by response position and update", responses=NOT_FOUND
)
def get_drift_map(
    job_id: JobId,
    operations: FromApp,
    after_update: AfterUpdate = 0,
    max_rows: Annotated[
        int, Query(ge=1, le=2000, description="Rows are thinned evenly to this many.")
    ] = 400,
) -> DriftMap:
    return operations.drift_map(job_id, after_update=after_update, max_rows=max_rows)


@router.get("/{job_id}/results", summary="pass@k with 95 % intervals", responses=NOT_FOUND)
def get_results(
    job_id: JobId,
    operations: FromApp,
    include: Annotated[
        list[Literal["problems"]], Query(description="`problems`: (n, c) of every problem.")
    ] = [],  # noqa: B006
) -> JobResults:
    """The student before and after training, their paired difference, and the teacher if asked for."""
    return operations.results(job_id, include_problems="problems" in include)


@router.get("/{job_id}/samples", summary="The responses behind the results", responses=NOT_FOUND)
def list_samples(
    *,
    job_id: JobId,
    operations: FromApp,
    stage: Stage = None,
    benchmark: Annotated[str | None, Query(max_length=64)] = None,
    problem_id: Annotated[str | None, Query(max_length=200)] = None,
    verdict: Annotated[
        Literal["right", "wrong", "no_answer", "grader_timeout"] | None, Query()
    ] = None,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
) -> SamplePage:
    """How each was drawn, its text, what was extracted, its verdict and the layer that decided it."""
    return operations.samples(
        job_id,
        limit=page_size,
        page_token=page_token,
        stage=stage,
        benchmark=benchmark,
        problem_id=problem_id,
        verdict=verdict,
    )


@router.get(
    "/{job_id}/verdict-changes",
    summary="What a regrade judged otherwise",
    responses=NOT_FOUND | {400: problem("The job is no regrade.")},
)
def get_verdict_changes(job_id: JobId, operations: FromApp) -> VerdictChanges:
    """Of a job of kind `regrade`: the samples whose verdict is not that of the job that it graded."""
    return operations.verdict_changes(job_id)


@router.get(
    "/{job_id}/sample-plan",
    summary="Samples that resolve a difference, and their cost",
    responses=NOT_FOUND | {400: problem("A bad parameter, or no evaluation to plan from.")},
)
def get_sample_plan(
    *,
    job_id: JobId,
    operations: FromApp,
    difference: Annotated[
        float, Query(gt=0, lt=1, description="Of the mean pass@k between two jobs like this one.")
    ],
    power: Annotated[float, Query(ge=0.5, lt=1)] = DEFAULT_POWER,
    k: K = DEFAULT_K,
    stage: Stage = None,
) -> SamplePlan:
    """From the job's own samples: how hard the problems are, and how long the responses."""
    return operations.plan_more_samples(
        job_id, difference=difference, power=power, k=k, stage=stage
    )


@router.get("/{job_id}/checkpoints", summary="Saved students, newest first", responses=NOT_FOUND)
def list_checkpoints(job_id: JobId, operations: FromApp) -> JobCheckpoints:
    """Each is a folder that transformers loads, with its tokenizer."""
    return operations.checkpoints(job_id)
