"""The command line. Each command imports what it runs, so that `driftgate --help` answers at once."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from service import keys_command
from service.database_commands import add_database_commands
from service.errors import DriftgateError
from service.health_command import Process, what_is_wrong
from service.job_commands import study_commands
from service.job_commands.commands import add_job_commands
from service.job_commands.gate_commands import add_gate_commands
from service.job_commands.gradient_commands import add_gradient_commands
from service.job_commands.preset_commands import add_preset_commands
from service.settings import Settings, load_settings

app = typer.Typer(
    help="Driftgate: on-policy distillation with blockwise policy-drift gating, as a job API. "
    "Settings are environment variables with the prefix DRIFTGATE_.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys_command.app, name="keys")
app.add_typer(study_commands.app, name="study")


def _print_version(value: bool) -> None:  # noqa: FBT001 as typer calls it
    """Ends the program where the option was given."""
    if value:
        version()
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """What stands before a command."""


@app.command()
def up() -> None:
    """Start everything on this machine: broker, API, gRPC, reconciler and worker."""
    from service import embedded  # noqa: PLC0415

    try:
        with _refusals_as_sentences():
            embedded.up(load_settings(), announce=typer.echo)
    except embedded.StartRefusedError as refusal:
        typer.echo(f"driftgate up: {refusal}", err=True)
        raise typer.Exit(1) from None


@app.command()
def api() -> None:
    """Serve REST and the page."""
    from service.rest.server import serve  # noqa: PLC0415

    _serve(serve)


@app.command()
def grpc() -> None:
    """Serve gRPC."""
    from service.rpc.server import serve  # noqa: PLC0415

    _serve(serve)


@app.command()
def reconciler() -> None:
    """Requeue the jobs of dead workers and ring for waiting ones."""
    from service.reconciler import run  # noqa: PLC0415

    _serve(run)


@app.command()
def worker() -> None:
    """Run jobs; needs the extra `worker`."""
    _become("worker")


@app.command()
def grade(
    file: Annotated[Path, typer.Argument(help="JSONL rows with `gold`, `prediction`, `form`.")],
    *,
    workers: Annotated[int, typer.Option(help="Processes for algebra.", min=1)] = 1,
) -> None:
    """Grade answers, one JSON line each and a summary; needs the extra `worker`."""
    _become("worker.grade_file", "--workers", str(workers), "--", str(file))


@app.command()
def regrade(
    job_id: Annotated[str, typer.Argument(help="An ended job with evaluations.", metavar="JOB")],
) -> None:
    """Print which verdicts of a job the grader of today would change; needs the extra `worker`."""
    _become("worker.regrade", job_id)


@app.command()
def healthcheck(
    process: Annotated[Process, typer.Argument(help="The command whose process is asked.")],
) -> None:
    """Exit with 0 where a process of this machine is well, else with 1 and what is wrong."""
    fault = what_is_wrong(process, load_settings())
    if fault is not None:
        typer.echo(f"driftgate healthcheck: {fault}", err=True)
        raise typer.Exit(1)


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    from service.storage import sessions  # noqa: PLC0415

    with _refusals_as_sentences():
        sessions.migrate(load_settings().resolved_database_url())
    typer.echo("The database is up to date.")


@app.command()
def demo(
    *,
    seed: Annotated[int, typer.Option(help="Seed of the jobs.", min=0)] = 1,
    keep_up: Annotated[
        bool, typer.Option("--keep-up", help="Leave the service running until Ctrl-C.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Where the figures go; demo.json in the data folder.")
    ] = None,
) -> None:
    """Distil the built-in student four ways and print what it gained."""
    from service.demo.run import run_demo  # noqa: PLC0415

    data_dir = load_settings().data_dir
    output = output or data_dir / "demo.json"
    raise typer.Exit(run_demo(data_dir=data_dir, seed=seed, keep_up=keep_up, output=output))


add_job_commands(app)
add_gate_commands(app)
add_preset_commands(app)
add_gradient_commands(app)
add_database_commands(app)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed_version  # noqa: PLC0415

    typer.echo(installed_version("driftgate"))


def _become(module: str, *arguments: str) -> None:
    """The worker's code is not this package's to import: it takes over the process."""
    sys.stdout.flush()
    command = [sys.executable, "-P", "-m", module, *arguments]
    os.execv(sys.executable, command)  # noqa: S606 no shell wanted


def _serve(run: Callable[[Settings], object]) -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    with _refusals_as_sentences():
        run(load_settings())


@contextmanager
def _refusals_as_sentences() -> Iterator[None]:
    """What Driftgate refuses is one sentence and status 1, not a traceback."""
    try:
        yield
    except DriftgateError as refusal:
        typer.echo(f"driftgate: {refusal}", err=True)
        raise typer.Exit(1) from None


def main() -> None:
    """The entry point of the `driftgate` command."""
    app()


if __name__ == "__main__":
    main()
