"""/v1/jobs/{id}/…: what a job measured; each endpoint translates one call of the operations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from service.jobs.comparisons import SamplePlan
from service.jobs.gradient_fidelity import GradientFidelity
from service.jobs.results import (
    DriftMap,
    JobMetrics,
    JobResults,
    SamplePage,
    VerdictChanges,
)
from service.metric_queries import check_metric_names
from service.operations import DEFAULT_K, DEFAULT_PAGE_SIZE, DEFAULT_POWER, MAX_PAGE_SIZE
from service.rest.comparison_examples import EXAMPLE_SAMPLE_PLAN
from service.rest.conditional import NOT_MODIFIED, UNLESS_KNOWN, IfNoneMatch, TagOfJob, unless_same
from service.rest.gradient_examples import EXAMPLE_FIDELITY
from service.rest.json_examples import json_example
from service.rest.metric_examples import EXAMPLE_DRIFT_MAP, EXAMPLE_METRICS
from service.rest.parameters import (
    NOT_FOUND,
    AfterUpdate,
    FromApp,
    JobId,
    K,
    PageToken,
    Stage,
    problem,
)
from service.rest.result_examples import EXAMPLE_RESULTS, EXAMPLE_SAMPLES, EXAMPLE_VERDICT_CHANGES

router = APIRouter(
    prefix="/v1/jobs", tags=["results"], responses={"default": problem("Any other error.")}
)


@router.get(
    "/{job_id:id}/metrics",
    summary="Metrics of each update, in columns",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_METRICS)},
)
def get_metrics(
    job_id: JobId,
    operations: FromApp,
    tag: TagOfJob,
    names: Annotated[
        list[str], Query(description="Metric names of the catalogue, repeatable; all if none.")
    ] = [],  # noqa: B006
    after_update: AfterUpdate = 0,
) -> JobMetrics:
    """What a resumed attempt computed anew replaces what the attempt before it had written."""
    check_metric_names("names", names)
    tag.spare_known()
    return operations.metrics(job_id, names=names, after_update=after_update)


@router.get(
    "/{job_id:id}/drift-map",
    summary="Drift by response position and update",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_DRIFT_MAP)},
)
def get_drift_map(
    job_id: JobId,
    operations: FromApp,
    tag: TagOfJob,
    after_update: AfterUpdate = 0,
    max_rows: Annotated[
        int, Query(ge=1, le=2000, description="Rows are thinned evenly to this many.")
    ] = 400,
) -> DriftMap:
    """Rows times blocks are at most 1,000,000: of wide rows there are fewer than `max_rows`, evenly spaced, at least one."""
    tag.spare_known()
    return operations.drift_map(job_id, after_update=after_update, max_rows=max_rows)


@router.get(
    "/{job_id:id}/gradient-fidelity",
    summary="How near the gradients of reused batches stayed to fresh ones",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_FIDELITY)},
    dependencies=[UNLESS_KNOWN],
)
def get_gradient_fidelity(job_id: JobId, operations: FromApp) -> GradientFidelity:
    """Of a job with `diagnostics.gradient_fidelity`: for each measured batch and reuse depth, the stale gradient of every
    weighting against one of the full-vocabulary reverse KL on fresh responses.
    """
    return operations.gradient_fidelity(job_id)


@router.get(
    "/{job_id:id}/results",
    summary="pass@k with 95 % intervals",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_RESULTS)},
)
def get_results(
    job_id: JobId,
    operations: FromApp,
    tag: TagOfJob,
    include: Annotated[
        list[Literal["problems"]], Query(description="`problems`: (n, c) of every problem.")
    ] = [],  # noqa: B006
) -> JobResults:
    """The student before and after training, their paired difference, and the teacher if asked for."""
    tag.spare_known()
    return operations.results(job_id, include_problems="problems" in include)


@router.get(
    "/{job_id:id}/samples",
    response_model=SamplePage,
    summary="The responses behind the results",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_SAMPLES)},
)
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
    if_none_match: IfNoneMatch = None,
) -> Response:
    """How each was drawn, its text, what was extracted, its verdict and the layer that decided it."""
    page = operations.samples(
        job_id,
        limit=page_size,
        page_token=page_token,
        stage=stage,
        benchmark=benchmark,
        problem_id=problem_id,
        verdict=verdict,
    )
    return unless_same(page, if_none_match=if_none_match)


@router.get(
    "/{job_id:id}/verdict-changes",
    summary="What a regrade judged otherwise",
    responses=NOT_FOUND
    | {200: json_example(EXAMPLE_VERDICT_CHANGES), 400: problem("The job is no regrade.")},
)
def get_verdict_changes(job_id: JobId, operations: FromApp) -> VerdictChanges:
    """Of a job of kind `regrade`: the samples whose verdict is not that of the job that it graded."""
    return operations.verdict_changes(job_id)


@router.get(
    "/{job_id:id}/sample-plan",
    summary="Samples that resolve a difference, and their cost",
    responses=NOT_FOUND
    | {
        200: json_example(EXAMPLE_SAMPLE_PLAN),
        400: problem("A bad parameter, or no evaluation to plan from."),
    },
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
