"""`driftgate demo`: four small jobs on a service of its own, and what they show."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from rich.console import Console

from service.client import Client
from service.demo.figures import DemoFigures, FinishedJob, demo_figures
from service.demo.jobs import LABEL, demo_specs
from service.demo.own_service import OwnService, ServiceEndedError, own_service
from service.demo.progress import ProgressView, job_name, progress_view
from service.demo.tables import demo_tables
from service.errors import DriftgateError
from service.jobs.catalog import Metric
from service.jobs.results import Job
from service.jobs.state import TERMINAL_STATES, JobState
from service.settings import load_settings

POLL_S = 1.0
UNREACHABLE_AFTER_S = 60.0
STALLED_AFTER_S = 300.0
TABLE_WIDTH = 132


class DemoFailedError(Exception):
    """The demo cannot go on; the message says why and where to look."""


def run_demo(*, data_dir: Path, seed: int, keep_up: bool, output: Path) -> int:
    """Runs the demo and writes its figures to `output`; the exit status of the command.

    Nothing is left running; with `keep_up` the service goes on until Ctrl-C.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=TABLE_WIDTH)
    try:
        with (
            _sigterm_as_interrupt(),
            own_service(data_dir.resolve()) as service,
            Client(service.url, retry_for_s=0) as client,
        ):
            console.print(f"Driftgate is up for the demo, its page is {service.url}/")
            figures = _run_jobs(service, client, console, seed=seed)
            _write(figures, output)
            console.print()
            console.print(demo_tables(figures))
            console.print(f"\nThese figures: {output}")
            if keep_up:
                console.print(f"The page: {service.url}/  (Ctrl-C stops the service)")
                with suppress(KeyboardInterrupt):
                    service.wait()
            else:
                port = load_settings().http_port
                console.print(f"The page: `make up`, then http://127.0.0.1:{port}/")
    except (DemoFailedError, ServiceEndedError, DriftgateError) as failure:
        console.print(f"\nThe demo failed. {failure}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    return 0


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM stops everything, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_jobs(service: OwnService, client: Client, console: Console, *, seed: int) -> DemoFigures:
    _cancel_unfinished(client)
    try:
        jobs = [client.submit(spec) for spec in demo_specs(seed)]
        watch_jobs(
            jobs,
            client=client,
            view=progress_view(console),
            check_service=service.check_alive,
            log_folder=service.log_path.parent,
        )
    except BaseException:
        with suppress(httpx.TransportError, DriftgateError):
            _cancel_unfinished(client)
        raise
    finished = [
        FinishedJob(
            job=client.get(job.id),
            results=client.results(job.id, include_problems=True),
            metrics=client.metrics(job.id),
        )
        for job in jobs
    ]
    return demo_figures(finished, seed=seed)


def _cancel_unfinished(client: Client) -> None:
    """Cancels the jobs of this demo, and of one before it that was killed."""
    unfinished = [state for state in JobState if state not in TERMINAL_STATES]
    for job in client.list(states=unfinished).jobs:
        if LABEL in job.labels:
            client.cancel(job.id)


def watch_jobs(
    jobs: Sequence[Job],
    *,
    client: Client,
    view: ProgressView,
    check_service: Callable[[], None],
    log_folder: Path,
    poll_s: float = POLL_S,
) -> None:
    """Returns once every job has succeeded; raises DemoFailedError as soon as one cannot."""
    watched = [_WatchedJob(job) for job in jobs]
    last_answer = last_change = time.monotonic()
    with view:
        while True:
            now = time.monotonic()
            try:
                changes = [one.poll(client) for one in watched]
                last_answer = now
                last_change = now if any(changes) else last_change
            except httpx.TransportError as error:
                # The tree starts a dead API again.
                if now - last_answer > UNREACHABLE_AFTER_S:
                    raise DemoFailedError(f"The API does not answer: {error}") from error
            for one in watched:
                view.show(one.job, loss=one.loss)
                _check_not_ended_badly(one.job, log_folder=log_folder)
            if all(one.job.state is JobState.SUCCEEDED for one in watched):
                return
            if now - last_change > STALLED_AFTER_S:
                raise DemoFailedError(f"No job moved for {STALLED_AFTER_S:g} s. Logs: {log_folder}")
            check_service()
            time.sleep(poll_s)


class _WatchedJob:
    """A job as last seen, with the loss of its latest update."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loss: float | None = None

    def poll(self, client: Client) -> bool:
        """Whether the job has changed."""
        if self.job.state in TERMINAL_STATES:
            return False
        before, self.job = self.job, client.get(self.job.id)
        update = self.job.progress.update
        if update > before.progress.update:
            latest = client.metrics(self.job.id, names=[Metric.LOSS], after_update=update - 1)
            self.loss = next(reversed(latest.columns.get(Metric.LOSS, ())), self.loss)
        return self.job != before


def _check_not_ended_badly(job: Job, *, log_folder: Path) -> None:
    if job.state not in TERMINAL_STATES or job.state is JobState.SUCCEEDED:
        return
    lines = [f"Job {job_name(job)!r} ({job.id}) is {job.state}."]
    if job.failure is not None:
        lines.append(f"{job.failure.code}: {job.failure.message}")
        lines += [
            f"{violation.field}: given {violation.given}, allowed {violation.allowed}"
            for violation in job.failure.violations
        ]
    lines.append(f"Logs: {log_folder}")
    raise DemoFailedError("\n".join(lines))


def _write(figures: DemoFigures, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f"{output.name}.part")
    unfinished.write_text(figures.model_dump_json(indent=2) + "\n")
    unfinished.replace(output)
