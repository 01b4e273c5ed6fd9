import io

from rich.console import Console

from service.demo.jobs import demo_specs
from service.demo.progress import ProgressBars, ProgressLines, progress_view
from service.jobs.results import Progress
from service.jobs.state import JobPhase, JobState
from tests.service.demo.answers import job

# The numbers of steps below are worked with; those of the real demo are tuned now and then.
SPEC = demo_specs(7)[0].model_copy(update={"steps": 30})


def plain_console():
    return Console(file=io.StringIO(), width=132)


def training(step):
    progress = Progress(step=step, total_steps=30, update=4 * step, total_updates=120)
    return job(SPEC, state=JobState.RUNNING, phase=JobPhase.TRAINING, progress=progress)


def test_a_pipe_gets_a_line_when_a_job_changes_what_it_does_and_every_ten_seconds():
    console, now = plain_console(), [100.0]
    view = ProgressLines(console, clock=lambda: now[0])
    view.show(job(SPEC, state=JobState.QUEUED), loss=None)
    for seconds, step in ((101.0, 1), (105.0, 2), (110.9, 3), (111.0, 4), (112.0, 5)):
        now[0] = seconds
        view.show(training(step), loss=0.25 * step)
    now[0] = 113.0
    view.show(job(SPEC), loss=1.0)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert lines == [
        "sampled token queued step 0/30",
        "sampled token training step 1/30 loss 0.2500",
        "sampled token training step 4/30 loss 1.0000",
        "sampled token succeeded step 0/30 loss 1.0000",
    ]


def test_waiting_and_ended_jobs_are_not_repeated():
    console, now = plain_console(), [0.0]
    view = ProgressLines(console, clock=lambda: now[0])
    for seconds in range(0, 100, 7):
        now[0] = float(seconds)
        view.show(job(SPEC, state=JobState.QUEUED), loss=None)
    assert len(console.file.getvalue().splitlines()) == 1


def test_a_terminal_gets_a_bar_for_every_job_and_a_pipe_gets_lines():
    assert isinstance(progress_view(plain_console()), ProgressLines)
    terminal = Console(file=io.StringIO(), width=132, force_terminal=True)
    with progress_view(terminal) as view:
        assert isinstance(view, ProgressBars)
        view.show(training(12), loss=0.125)
    shown = terminal.file.getvalue()
    assert "sampled token" in shown
    assert "12/30" in shown
    assert "loss 0.1250" in shown
