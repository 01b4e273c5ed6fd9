"""`driftgate study …`: studies submitted, followed, steered and judged. Each command imports what it runs."""

# ruff: noqa: PLC0415

from typing import Annotated

import typer

from service.job_commands.commands import AsJson, Url

app = typer.Typer(
    help="Studies: arms × seeds of one spec, judged with a training seed as the unit.",
    no_args_is_help=True,
)

Study = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="An id, the unique beginning of one (4 characters or more), or `latest`.",
    ),
]


@app.command()
def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; `-`: standard input.")],
    *,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key and spec give the same study.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Such as max_active_jobs=4; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what it would take and could tell; create nothing."),
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Submit a study from a file."""
    from service.job_commands.display import show_answer
    from service.job_commands.sessions import connected
    from service.job_commands.spec_files import read_spec
    from service.job_commands.study_text import plan_page, study_line

    with connected(url) as client:
        spec = read_spec(file, overrides=overrides or ())
        if dry_run:
            show_answer(client.plan_study(spec), plan_page, as_json=as_json)
            return
        study = client.submit_study(spec, idempotency_key=idempotency_key)
        show_answer(study, study_line, as_json=as_json)


@app.command("list")
def list_studies(
    *,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List studies, newest first. `--json`: a study a line."""
    from itertools import islice

    from service.job_commands.display import show_answers
    from service.job_commands.sessions import connected
    from service.job_commands.study_text import studies_table

    with connected(url) as client:
        found = tuple(islice(client.iterate_studies(page_size=min(limit, 1000)), limit))
        show_answers(found, studies_table, as_json=as_json)


@app.command()
def show(study: Study, *, as_json: AsJson = False, url: Url = None) -> None:
    """Show a study: its arms with every seed as a dot, intervals, collapses. `--json`: the study alone."""
    from service.job_commands.display import show_answer
    from service.job_commands.finding_studies import find_study
    from service.job_commands.sessions import connected
    from service.job_commands.study_text import study_page

    with connected(url) as client:
        show_answer(
            find_study(client, study),
            lambda found: study_page(found, client.study_verdict(found.id)),
            as_json=as_json,
        )


@app.command()
def verdict(study: Study, *, as_json: AsJson = False, url: Url = None) -> None:
    """Print what a study found: the registered contrast, all other differences, and where variance comes from."""
    from service.job_commands.display import show_answer
    from service.job_commands.finding_studies import find_study
    from service.job_commands.sessions import connected
    from service.job_commands.verdict_tables import verdict_page

    with connected(url) as client:
        found = client.study_verdict(find_study(client, study).id)
        show_answer(found, verdict_page, as_json=as_json)


@app.command()
def cancel(study: Study, *, as_json: AsJson = False, url: Url = None) -> None:
    """Cancel a study with its jobs."""
    from service.job_commands.display import show_answer
    from service.job_commands.finding_studies import find_study
    from service.job_commands.sessions import connected
    from service.job_commands.study_text import study_line

    with connected(url) as client:
        cancelled = client.cancel_study(find_study(client, study).id)
        show_answer(cancelled, study_line, as_json=as_json)


@app.command()
def pause(study: Study, *, as_json: AsJson = False, url: Url = None) -> None:
    """Pause a study with its jobs."""
    from service.job_commands.display import show_answer
    from service.job_commands.finding_studies import find_study
    from service.job_commands.sessions import connected
    from service.job_commands.study_text import study_line

    with connected(url) as client:
        paused = client.pause_study(find_study(client, study).id)
        show_answer(paused, study_line, as_json=as_json)


@app.command()
def resume(study: Study, *, as_json: AsJson = False, url: Url = None) -> None:
    """Let a paused study go on."""
    from service.job_commands.display import show_answer
    from service.job_commands.finding_studies import find_study
    from service.job_commands.sessions import connected
    from service.job_commands.study_text import study_line

    with connected(url) as client:
        resumed = client.resume_study(find_study(client, study).id)
        show_answer(resumed, study_line, as_json=as_json)


@app.command()
def delete(study: Study, *, as_json: AsJson = False, url: Url = None) -> None:
    """Delete a study that has ended; its jobs stay. `--json`: the study as it was."""
    from rich.text import Text

    from service.job_commands.display import show_answer
    from service.job_commands.finding_studies import find_study
    from service.job_commands.sessions import connected

    with connected(url) as client:
        found = find_study(client, study)
        client.delete_study(found.id)
        show_answer(found, lambda one: Text(f"{one.id}  deleted"), as_json=as_json)


@app.command()
def events(study: Study, *, as_json: AsJson = False, url: Url = None) -> None:
    """Print the history of a study, oldest first. `--json`: an event a line."""
    from service.job_commands.display import show_answer
    from service.job_commands.finding_studies import find_study
    from service.job_commands.sessions import connected
    from service.job_commands.study_text import event_line

    with connected(url) as client:
        study_id = find_study(client, study).id
        after = 0
        while found := (page := client.study_events(study_id, after=after)).events:
            for event in found:
                show_answer(event, event_line, as_json=as_json)
            after = page.next_after


@app.command()
def presets(*, as_json: AsJson = False, url: Url = None) -> None:
    """List the arms that go by name. `--json`: a preset a line."""
    from service.job_commands.display import show_answers
    from service.job_commands.sessions import connected
    from service.job_commands.study_text import presets_table

    with connected(url) as client:
        show_answers(client.study_presets(), presets_table, as_json=as_json)
