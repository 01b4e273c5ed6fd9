"""`driftgate workers` and `driftgate audit`: looks at the database that the settings name, from the server itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from service.errors import DriftgateError
from service.settings import load_settings

if TYPE_CHECKING:
    from service.storage.sessions import Database
    from service.storage.worker_store import Worker

GIBIBYTE = 2**30


def add_database_commands(app: typer.Typer) -> None:
    """To the `driftgate` command."""
    app.command("workers")(list_workers)
    app.command("audit")(audit)


def list_workers(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the workers, last seen first: what they have, and which are put aside."""
    from service.storage.worker_store import WorkerStore  # noqa: PLC0415

    with _database() as database:
        live_within_s = load_settings().lease_s
        workers = WorkerStore(database).list_workers(live_within_s=live_within_s)
    if as_json:
        for worker in workers:
            typer.echo(_json_line(worker))
    else:
        _print_table(workers)


def audit() -> None:
    """Look for jobs and studies whose rows contradict each other; status 1 where there are any."""
    from service.storage.invariants import find_violations  # noqa: PLC0415
    from service.storage.study_invariants import find_study_violations  # noqa: PLC0415

    with _database() as database:
        broken = [(f"job {each.job_id}", each.invariant) for each in find_violations(database)]
        broken += [
            (f"study {each.study_id}", each.invariant) for each in find_study_violations(database)
        ]
    for which, invariant in broken:
        typer.echo(f"{which} breaks an invariant: {invariant}")
    if broken:
        raise typer.Exit(1)
    typer.echo("No job and no study contradicts itself.")


@contextmanager
def _database() -> "Iterator[Database]":
    from service.storage.sessions import Database  # noqa: PLC0415

    try:
        database = Database(load_settings().resolved_database_url())
        try:
            yield database
        finally:
            database.close()
    except DriftgateError as refusal:
        typer.echo(f"driftgate: {refusal}", err=True)
        raise typer.Exit(1) from None


def _json_line(worker: "Worker") -> str:
    from dataclasses import asdict  # noqa: PLC0415

    from pydantic_core import to_json  # noqa: PLC0415

    fields = asdict(worker)
    profile = fields.pop("profile")
    del profile["aside_s"]
    return to_json({**profile, **profile.pop("capabilities"), **fields}).decode()


def _print_table(workers: "list[Worker]") -> None:
    from service.job_commands.display import console, safe, table  # noqa: PLC0415
    from service.jobs.capabilities import device_need  # noqa: PLC0415

    rows = table("worker", "device", "memory", "queues", "version", "last seen", "state")
    for worker in workers:
        capabilities = worker.profile.capabilities
        memory_bytes = capabilities.memory_bytes
        rows.add_row(
            safe(worker.profile.owner),
            device_need(capabilities.device, capabilities.num_devices),
            "unknown" if memory_bytes is None else f"{memory_bytes / GIBIBYTE:.1f} GiB",
            ", ".join(worker.profile.queues),
            worker.profile.version,
            f"{worker.seen_at:%Y-%m-%d %H:%M:%S}Z",
            _state(worker),
        )
    console().print(rows)


def _state(worker: "Worker") -> str:
    if not worker.is_live:
        return "not seen lately"
    if worker.aside_until is None:
        return "live"
    return f"aside until {worker.aside_until:%H:%M:%S}Z: {worker.aside_reason}"
