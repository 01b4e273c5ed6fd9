"""A job until it ends: a bar on a terminal, a line now and then elsewhere, or its JSON at every change."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx
import typer
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from service.client import Client
from service.errors import DriftgateError
from service.job_commands.display import console, print_page, safe, state_text
from service.job_commands.job_text import failure_lines, progress_text
from service.jobs.catalog import Metric
from service.jobs.results import Job
from service.jobs.state import JobState

STOPPED_WATCHING = 130  # what a shell reports of a command that Ctrl-C ended
EXIT_STATUS = {JobState.SUCCEEDED: 0, JobState.FAILED: 1, JobState.CANCELLED: 2}
LINE_INTERVAL_S = 10.0


def watch_job(client: Client, job: Job, *, as_json: bool) -> int:
    """Shows the job until it ends; the exit status that tells how it ended, or that the user stopped."""
    watch = _watch_as_json if as_json else _watch_with_bar
    output = console()
    if not as_json and not output.is_terminal:
        watch = _watch_in_lines
    try:
        return EXIT_STATUS[watch(client, job).state]
    except KeyboardInterrupt:
        typer.echo(f"Stopped watching; job {job.id} goes on.", err=True)
        return STOPPED_WATCHING


def _watch_as_json(client: Client, job: Job) -> Job:
    return client.wait(job.id, on_change=lambda changed: typer.echo(changed.model_dump_json()))


def _watch_with_bar(client: Client, job: Job) -> Job:
    with _bar() as progress:
        ended = client.wait(job.id, on_change=_Bar(progress, client, job).show)
    print_page(_end_page(ended))
    return ended


def _watch_in_lines(client: Client, job: Job) -> Job:
    ended = client.wait(job.id, on_change=_Lines(console(), client).show)
    print_page(_end_page(ended))
    return ended


@dataclass(frozen=True, slots=True)
class Pace:
    """How training goes; None where it is not known."""

    loss: float | None = None
    tokens_per_second: float | None = None

    def __str__(self) -> str:
        loss = "" if self.loss is None else f"loss {self.loss:.4f}"
        speed = "" if self.tokens_per_second is None else f"{self.tokens_per_second:,.0f} tokens/s"
        return "  ".join(part for part in (loss, speed) if part)


class _PaceReader:
    """Reads the newest loss and the tokens a second that the newest rollout sampled."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._update = 0
        self._pace = Pace()

    def read(self, job: Job) -> Pace:
        if job.progress.update > self._update:
            self._update = job.progress.update
            # A number that does not come is no reason to stop watching.
            with suppress(httpx.TransportError, DriftgateError):
                self._pace = self._ask(job.id)
        return self._pace

    def _ask(self, job_id: str) -> Pace:
        latest = self._client.latest_metrics(job_id).metrics
        loss, tokens, seconds = (
            latest[name].value if name in latest else None
            for name in (Metric.LOSS, Metric.ROLLOUT_RESPONSE_TOKENS, Metric.ROLLOUT_SECONDS)
        )
        return Pace(loss=loss, tokens_per_second=tokens / seconds if tokens and seconds else None)


class _Bar:
    """The steps of a job, or the samples of the evaluation under way, as a bar that moves."""

    def __init__(self, progress: Progress, client: Client, job: Job) -> None:
        self._progress = progress
        self._pace = _PaceReader(client)
        self._task = progress.add_task(_name(job), total=None, count="", doing="", pace="")

    def show(self, job: Job) -> None:
        done = job.progress
        of_evaluation = bool(done.samples_to_evaluate)
        self._progress.update(
            self._task,
            completed=done.evaluated_samples if of_evaluation else done.step,
            total=(done.samples_to_evaluate if of_evaluation else done.total_steps) or None,
            count=progress_text(done),
            doing=_doing(job),
            pace=str(self._pace.read(job)),
        )


class _Lines:
    """A line when what the job is doing changes, and every `LINE_INTERVAL_S` while it works."""

    def __init__(
        self, output: Console, client: Client, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output = output
        self._pace = _PaceReader(client)
        self._clock = clock
        self._last: tuple[str, float] | None = None

    def show(self, job: Job) -> None:
        doing, now = _doing(job), self._clock()
        if self._last and self._last[0] == doing and now - self._last[1] < LINE_INTERVAL_S:
            return
        self._last = doing, now
        parts = (_name(job), doing, progress_text(job.progress), str(self._pace.read(job)))
        self._output.print(safe("  ".join(part for part in parts if part)))


def _bar() -> Progress:
    fields = ("task.description", "task.fields[count]", "task.fields[doing]", "task.fields[pace]")
    name, *others = (TextColumn(f"{{{field}}}", markup=False) for field in fields)
    return Progress(name, BarColumn(bar_width=24), *others, TimeElapsedColumn(), console=console())


def _end_page(job: Job) -> RenderableType:
    return Group(
        Text.assemble(f"{_name(job)}  ", state_text(job.state)),
        *(failure_lines(job.failure) if job.failure is not None else ()),
    )


def _name(job: Job) -> str:
    return safe(job.name or job.id).plain


def _doing(job: Job) -> str:
    return (job.phase or job.state).value.replace("_", " ")
