"""Commands that ask the service about jobs. Each imports what it runs, so that `--help` answers at once."""

# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.jobs.state import JobState

Job = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="An id, the unique beginning of one (4 characters or more), or `latest`.",
    ),
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="The service; DRIFTGATE_URL or http://127.0.0.1:8400 if not given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's JSON and nothing else.")]


def add_job_commands(app: typer.Typer) -> None:
    of_one_job = (show, watch, cancel, pause, resume, delete, metrics, events, download)
    for command in (submit, jobs, *of_one_job, compare):
        app.command()(command)


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; `-`: standard input.")],
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay until the job ends, as `driftgate watch` does.")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key and spec give the same job.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Such as rollout.top_p=1; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the job would take; create nothing.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Submit a job from a file."""
    from service.job_commands.display import show_answer
    from service.job_commands.job_text import plan_page, submitted_page
    from service.job_commands.sessions import connected
    from service.job_commands.spec_files import read_spec
    from service.job_commands.watching import watch_job

    with connected(url) as client:
        spec = read_spec(file, overrides=overrides or ())
        if dry_run:
            show_answer(client.plan(spec), plan_page, as_json=as_json)
            return
        job = client.submit(spec, idempotency_key=idempotency_key)
        if not (watch and as_json):  # the first line of a watch is the job
            show_answer(job, submitted_page, as_json=as_json)
        if watch:
            raise typer.Exit(watch_job(client, job, as_json=as_json))


def jobs(
    *,
    states: Annotated[
        list[JobState] | None, typer.Option("--state", help="Keep these; repeatable.")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="Keep these; repeatable, and then all."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The student, the teacher or the evaluated model.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List jobs, newest first. `--json`: a job a line."""
    from service.job_commands.display import show_answers
    from service.job_commands.job_text import jobs_table
    from service.job_commands.sessions import connected, newest_jobs

    with connected(url) as client:
        found = newest_jobs(
            client, limit=limit, states=states or (), labels=labels or (), model=model
        )
        show_answers(found, jobs_table, as_json=as_json)


def show(job: Job, *, as_json: AsJson = False, url: Url = None) -> None:
    """Show a job: state, progress, spec, results, warnings, failure. `--json`: the job alone."""
    from service.job_commands.display import show_answer
    from service.job_commands.job_text import job_page
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        show_answer(
            find_job(client, job),
            lambda found: job_page(found, client.results(found.id)),
            as_json=as_json,
        )


def watch(job: Job, *, as_json: AsJson = False, url: Url = None) -> None:
    """Stay until a job ends. Status 0: succeeded; 1: failed; 2: cancelled; 130: you stopped watching.

    `--json`: the job at first and after every change, a line each.
    """
    from service.job_commands.sessions import connected, find_job
    from service.job_commands.watching import watch_job

    with connected(url) as client:
        raise typer.Exit(watch_job(client, find_job(client, job), as_json=as_json))


def cancel(job: Job, *, as_json: AsJson = False, url: Url = None) -> None:
    """Cancel a job: at once while it waits, else as soon as its worker hears of it."""
    from service.job_commands.display import show_answer
    from service.job_commands.job_text import state_line
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        cancelled = client.cancel(find_job(client, job).id)
        show_answer(cancelled, state_line, as_json=as_json)


def pause(job: Job, *, as_json: AsJson = False, url: Url = None) -> None:
    """Pause a job: at once while it waits, else once its worker has saved it."""
    from service.job_commands.display import show_answer
    from service.job_commands.job_text import state_line
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        paused = client.pause(find_job(client, job).id)
        show_answer(paused, state_line, as_json=as_json)


def resume(job: Job, *, as_json: AsJson = False, url: Url = None) -> None:
    """Let a paused job go on from its newest checkpoint."""
    from service.job_commands.display import show_answer
    from service.job_commands.job_text import state_line
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        resumed = client.resume(find_job(client, job).id)
        show_answer(resumed, state_line, as_json=as_json)


def delete(job: Job, *, as_json: AsJson = False, url: Url = None) -> None:
    """Delete a job that has ended, with its metrics, results and checkpoints. `--json`: the job as it was."""
    from service.job_commands.display import show_answer
    from service.job_commands.job_text import deleted_line
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        found = find_job(client, job)
        client.delete(found.id)
        show_answer(found, deleted_line, as_json=as_json)


def compare(
    jobs: Annotated[
        list[str], typer.Argument(metavar="JOB...", help="Two or more; the first is the reference.")
    ],
    *,
    k: Annotated[int | None, typer.Option(min=1, help="Of pass@k; 8 if not given.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Set jobs against the first of them: differences of pass@k with both intervals, wins and losses."""
    from service.job_commands.display import show_answer
    from service.job_commands.result_tables import comparison_page
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        comparison = client.compare([find_job(client, job).id for job in jobs], k=k)
        show_answer(comparison, comparison_page, as_json=as_json)


def metrics(
    job: Job,
    *,
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", help="Metric names, repeatable; all that were recorded if none."),
    ] = None,
    x: Annotated[
        Literal["step", "update", "tokens", "wall_time"], typer.Option(help="What to order by.")
    ] = "step",
    max_points: Annotated[
        int | None,
        typer.Option(min=2, help="Of each metric; 20 in the table and 400 elsewhere if not given."),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A line a point: key, x, value, update, attempt.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show metrics of a job, thinned so that no peak is lost."""
    from service.job_commands.display import show_answer
    from service.job_commands.metric_tables import metric_series, metrics_table, print_csv
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        in_full = as_csv or as_json
        series = metric_series(
            client,
            find_job(client, job),
            keys=keys or (),
            x=x,
            max_points=max_points or (400 if in_full else 20),
        )
        if as_csv:
            print_csv(series)
        else:
            show_answer(series, metrics_table, as_json=as_json)


def events(
    job: Job,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Stay, and print events until the job ends.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Print the history of a job, oldest first. `--json`: an event a line."""
    from service.job_commands.display import show_answer
    from service.job_commands.job_text import event_line
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        job_id = find_job(client, job).id
        history = client.stream_events(job_id) if follow else client.iterate_events(job_id)
        for event in history:
            show_answer(event, event_line, as_json=as_json)


def download(
    job: Job,
    *,
    folder: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Not there yet; the model folder.")
    ],
    step: Annotated[int | None, typer.Option(min=0, help="A saved step; the newest one.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Download a checkpoint as a model folder, every file checked by its SHA-256."""
    from service.job_commands.display import show_answer
    from service.job_commands.downloading import download_checkpoint, downloaded_line
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        content = download_checkpoint(client, find_job(client, job), step=step, folder=folder)
        show_answer(content, lambda one: downloaded_line(one, folder=folder), as_json=as_json)
