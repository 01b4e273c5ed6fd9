"""`driftgate simulate-gate`: another gate put over what a job kept. It imports what it runs."""

# ruff: noqa: PLC0415

from typing import Annotated

import typer

from service.job_commands.commands import AsJson, Job, Url
from service.jobs.loss_spec import Aggregation, Direction, Granularity, Kernel, Normalization


def add_gate_commands(app: typer.Typer) -> None:
    app.command()(simulate_gate)


def simulate_gate(
    job: Job,
    *,
    granularity: Annotated[Granularity | None, typer.Option()] = None,
    block_size: Annotated[int | None, typer.Option(help="Valid response tokens.")] = None,
    aggregation: Annotated[Aggregation | None, typer.Option()] = None,
    kernel: Annotated[Kernel | None, typer.Option()] = None,
    strength: Annotated[float | None, typer.Option(help="τ, per nat.")] = None,
    adaptive: Annotated[
        float | None, typer.Option(help="c of an adaptive strength, in place of --strength.")
    ] = None,
    normalization: Annotated[Normalization | None, typer.Option()] = None,
    direction: Annotated[Direction | None, typer.Option()] = None,
    min_span: Annotated[int | None, typer.Option(help="Newline spans, tokens.")] = None,
    max_span: Annotated[int | None, typer.Option(help="Newline spans, tokens.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of a hard gate, nats.")] = None,
    ratio_bounds: Annotated[
        tuple[float, float] | None, typer.Option(help="Of the ratio kernel, low and high.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what another gate would have done to a job's updates; what is not given is as in the job's own gate.

    Nothing is trained: this is not what training under that gate would have become.
    """
    from service.job_commands.display import show_answer
    from service.job_commands.gate_tables import simulation_page
    from service.job_commands.sessions import connected, find_job

    if strength is not None and adaptive is not None:
        raise typer.BadParameter("--strength and --adaptive are both given; leave one of them out")
    changes = {
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
        "ratio_bounds": ratio_bounds and list(ratio_bounds),
    }
    given = {name: value for name, value in changes.items() if value is not None}
    with connected(url) as client:
        simulation = client.simulate_gate(find_job(client, job).id, given)
        show_answer(simulation, simulation_page, as_json=as_json)
