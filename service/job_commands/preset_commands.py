"""Commands of a published experiment: its jobs as specs, and its table. Each imports what it runs."""

# ruff: noqa: PLC0415

from typing import Annotated

import typer

from service.job_commands.commands import AsJson, Url


def add_preset_commands(app: typer.Typer) -> None:
    for command in (presets, table):
        app.command()(command)


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print this one's spec, for `submit -`.")
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List the published settings; with a name, print the spec that `driftgate submit -` reads."""
    from service.errors import DriftgateError, ErrorCode, Violation
    from service.job_commands.display import show_answers
    from service.job_commands.job_text import presets_table
    from service.job_commands.sessions import connected

    with connected(url) as client:
        found = client.presets()
        if name is None:
            show_answers(found, presets_table, as_json=as_json)
            return
        by_name = {preset.name: preset for preset in found}
        if name not in by_name:
            known = ", ".join(by_name)
            raise DriftgateError(
                ErrorCode.INVALID_SPEC,
                f"No preset is called {name[:100]!r}. There are: {known}.",
                [Violation("NAME", name[:100], known)],
            )
        typer.echo(by_name[name].spec.model_dump_json(indent=2))


def table(
    jobs: Annotated[
        list[str], typer.Argument(metavar="JOB...", help="One or more, such as the six variants.")
    ],
    *,
    k: Annotated[int, typer.Option(min=1, help="Of pass@k.")] = 8,
    url: Url = None,
) -> None:
    """Print pass@k by job and benchmark, with the mean: the student before, each job, the teacher."""
    from service.job_commands.display import print_page
    from service.job_commands.results_by_job import JobWithResults, results_by_job
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        found = [find_job(client, job) for job in jobs]
        of_jobs = [JobWithResults(job.name or job.id, client.results(job.id)) for job in found]
        print_page(results_by_job(of_jobs, k=k))
