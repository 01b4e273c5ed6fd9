"""/v1/metrics:query and the newest values of a job: metrics for those who draw or watch them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.jobs.metric_queries import (
    DEFAULT_MAX_POINTS,
    LatestMetrics,
    MetricQuery,
    MetricSeriesSet,
    MetricX,
)
from service.metric_queries import MAX_JOBS, MAX_KEYS, MAX_POINTS, MIN_POINTS
from service.rest.conditional import NOT_MODIFIED, UNLESS_KNOWN, IfNoneMatch, unless_same
from service.rest.json_examples import json_example
from service.rest.metric_examples import EXAMPLE_LATEST, EXAMPLE_SERIES
from service.rest.parameters import NOT_FOUND, FromApp, JobId, problem

End = Annotated[
    float | None, Query(allow_inf_nan=False, description="Part of the range; no end if left out.")
]

router = APIRouter(
    prefix="/v1", tags=["metrics"], responses={"default": problem("Any other error.")}
)


@router.get(
    "/metrics:query",
    response_model=MetricSeriesSet,
    summary="Curves of several jobs and metrics, thinned",
    responses=NOT_FOUND
    | NOT_MODIFIED
    | {200: json_example(EXAMPLE_SERIES), 400: problem("A bad parameter.")},
)
def query_metrics(
    *,
    operations: FromApp,
    job_id: Annotated[
        list[str], Query(min_length=1, max_length=MAX_JOBS, description="Repeatable.")
    ],
    key: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=MAX_KEYS,
            description="Metric names of the catalogue, repeatable.",
            examples=[["train/loss"]],
        ),
    ],
    x: Annotated[MetricX, Query(description="What the curves are drawn over.")] = MetricX.STEP,
    max_points: Annotated[
        int, Query(ge=MIN_POINTS, le=MAX_POINTS, description="Of each series.")
    ] = DEFAULT_MAX_POINTS,
    x_from: End = None,
    x_to: End = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Each bucket of a longer series keeps its least and its largest value, so no peak is lost.

    What a resumed attempt computed anew replaces what was there before. A value that is not finite is the
    string `NaN`, `Infinity` or `-Infinity`.
    """
    query = MetricQuery(tuple(job_id), tuple(key), x, max_points, x_from, x_to)
    return unless_same(operations.query_metrics(query), if_none_match=if_none_match)


@router.get(
    "/jobs/{job_id:id}/metrics:latest",
    summary="The newest value of every metric of a job",
    responses=NOT_FOUND | NOT_MODIFIED | {200: json_example(EXAMPLE_LATEST)},
    dependencies=[UNLESS_KNOWN],
)
def get_latest_metrics(job_id: JobId, operations: FromApp) -> LatestMetrics:
    """With the update that each is of: some are recorded only on the first update of a step."""
    return operations.latest_metrics(job_id)
