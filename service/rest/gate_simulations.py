"""/v1/jobs/{id}/gate:simulate: what another gate would have done to a job's updates."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.gate_simulations import GateSimulation
from service.jobs.loss_spec import Aggregation, Direction, Granularity, Kernel, Normalization
from service.rest.conditional import NOT_MODIFIED, TagOfJob
from service.rest.gate_examples import EXAMPLE_SIMULATION
from service.rest.json_examples import json_example
from service.rest.parameters import NOT_FOUND, FromApp, JobId, problem

router = APIRouter(
    prefix="/v1/jobs", tags=["results"], responses={"default": problem("Any other error.")}
)


def _changes(
    *,
    granularity: Granularity | None = None,
    block_size: Annotated[int | None, Query(description="Valid response tokens.")] = None,
    aggregation: Aggregation | None = None,
    kernel: Kernel | None = None,
    strength: Annotated[float | None, Query(description="τ, per nat.")] = None,
    adaptive: Annotated[
        float | None, Query(description="c of an adaptive strength, in place of `strength`.")
    ] = None,
    normalization: Normalization | None = None,
    direction: Direction | None = None,
    min_span: Annotated[int | None, Query(description="`newline_span`, tokens.")] = None,
    max_span: Annotated[int | None, Query(description="`newline_span`, tokens.")] = None,
    threshold: Annotated[float | None, Query(description="Of a `hard` gate, nats.")] = None,
    ratio_bounds: Annotated[
        list[float],
        Query(max_length=2, description="Of the `ratio` kernel: the low one, then the high one."),
    ] = [],  # noqa: B006
) -> dict[str, object]:
    """The fields of the gate that were given, as a spec has them."""
    if strength is not None and adaptive is not None:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            "strength and adaptive are both given: τ is a number or adaptive, so leave one of them out.",
            [Violation("adaptive", f"{adaptive:g}", "no adaptive strength beside strength")],
        )
    given = {
        "granularity": granularity,
        "block_size": block_size,
        "aggregation": aggregation,
        "kernel": kernel,
        "strength": strength if adaptive is None else {"adaptive": adaptive},
        "normalization": normalization,
        "direction": direction,
        "min_span": min_span,
        "max_span": max_span,
        "threshold": threshold,
        "ratio_bounds": ratio_bounds or None,
    }
    return {name: value for name, value in given.items() if value is not None}


@router.get(
    "/{job_id:id}/gate:simulate",
    summary="What another gate would have done to the job's updates",
    responses=NOT_FOUND
    | NOT_MODIFIED
    | {
        200: json_example(EXAMPLE_SIMULATION),
        400: problem("A gate that is none."),
        409: problem("The job has kept no drift by token."),
    },
)
def simulate_gate(
    job_id: JobId,
    operations: FromApp,
    tag: TagOfJob,
    changes: Annotated[dict[str, Any], Depends(_changes)],
) -> GateSimulation:
    """Of the updates whose drift was kept token by token: how much the gate's weights differ, how much of the loss they
    move, whether it would have been inert, and a strength to try. What is not given is as in the job's own gate.

    Nothing is trained, and a gate changes the weights that later updates start from: this is what the gate would have done
    to these updates, not what training under it would have become.
    """
    operations.check_gate(job_id, changes)
    tag.spare_known()
    return operations.simulate_gate(job_id, changes)
