"""What the demo shows while its jobs run: bars on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from service.jobs.results import Job
from service.jobs.state import TERMINAL_STATES

LINE_INTERVAL_S = 10.0


class ProgressView(Protocol):
    """Shows jobs as they are; to be used as a context."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, job: Job, *, loss: float | None) -> None: ...


def progress_view(console: Console) -> ProgressView:
    """Bars where the console can redraw, lines where it is a file or a pipe."""
    return ProgressBars(console) if console.is_terminal else ProgressLines(console)


class ProgressBars:
    """One bar a job: phase, steps, loss, time."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<26}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[doing]:<20}"),
            TextColumn("{task.fields[loss]:<13}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, job: Job, *, loss: float | None) -> None:
        if job.id not in self._bars:
            self._bars[job.id] = self._progress.add_task(
                job_name(job), start=False, total=job.progress.total_steps, doing="", loss=""
            )
        bar = self._bars[job.id]
        if job.started_at is not None:
            self._progress.start_task(bar)
        self._progress.update(
            bar, completed=job.progress.step, doing=doing(job), loss=loss_text(loss)
        )
        if job.state in TERMINAL_STATES:
            self._progress.stop_task(bar)


class ProgressLines:
    """One line a job when what it is doing changes, and every `LINE_INTERVAL_S` while it works."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._last_shown: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def show(self, job: Job, *, loss: float | None) -> None:
        now, text = self._clock(), doing(job)
        shown_text, shown_at = self._last_shown.get(job.id, ("", now))
        is_due = job.phase is not None and now - shown_at >= LINE_INTERVAL_S
        if text == shown_text and not is_due:
            return
        self._last_shown[job.id] = text, now
        progress = job.progress
        line = f"{job_name(job):<26} {text:<20} step {progress.step}/{progress.total_steps}"
        self._console.print(f"{line}  {loss_text(loss)}".rstrip(), highlight=False)


def job_name(job: Job) -> str:
    return job.name or job.id


def doing(job: Job) -> str:
    """The phase of a job that a worker holds, else its state."""
    return (job.phase or job.state).value.replace("_", " ")


def loss_text(loss: float | None) -> str:
    return "" if loss is None else f"loss {loss:.4f}"
