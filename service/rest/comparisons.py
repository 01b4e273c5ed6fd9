"""/v1/comparisons: jobs side by side."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.jobs.comparisons import Comparison
from service.operations import DEFAULT_K, MAX_COMPARED_JOBS
from service.rest.comparison_examples import EXAMPLE_COMPARISON
from service.rest.json_examples import json_example
from service.rest.parameters import NOT_FOUND, FromApp, K, Stage, problem

router = APIRouter(
    prefix="/v1/comparisons",
    tags=["comparisons"],
    responses={"default": problem("Any other error.")},
)


@router.get(
    "",
    summary="Jobs against the first of them",
    responses=NOT_FOUND | {200: json_example(EXAMPLE_COMPARISON), 400: problem("A bad parameter.")},
)
def compare_jobs(
    operations: FromApp,
    job_id: Annotated[
        list[str],
        Query(
            min_length=2,
            max_length=MAX_COMPARED_JOBS,
            description="Repeat it; the first is the reference.",
        ),
    ],
    k: K = DEFAULT_K,
    stage: Stage = None,
) -> Comparison:
    """Paired differences with both intervals, p-values, wins and losses, and what could be resolved.

    Without `stage`, the final evaluation of each job, or the one of a job that trains nothing. Jobs that
    answered other problems, sampled otherwise or were graded otherwise are not compared, with the reason.
    """
    return operations.compare_jobs(job_id, k=k, stage=stage)
