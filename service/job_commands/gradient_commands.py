"""The command of gradient fidelity. It imports what it runs."""

# ruff: noqa: PLC0415

import typer

from service.job_commands.commands import AsJson, Job, Url


def add_gradient_commands(app: typer.Typer) -> None:
    app.command()(gradient_fidelity)


def gradient_fidelity(job: Job, *, as_json: AsJson = False, url: Url = None) -> None:
    """Show how near the gradients of reused batches stayed to fresh ones, by weighting and reuse depth."""
    from service.job_commands.display import show_answer
    from service.job_commands.gradient_tables import gradient_page
    from service.job_commands.sessions import connected, find_job

    with connected(url) as client:
        found = client.gradient_fidelity(find_job(client, job).id)
        show_answer(found, gradient_page, as_json=as_json)
