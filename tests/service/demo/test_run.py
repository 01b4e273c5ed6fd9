import fcntl
import io

import httpx
import pytest
from rich.console import Console

from service.client import Client
from service.demo.jobs import demo_specs
from service.demo.progress import ProgressLines
from service.demo.run import DemoFailedError, run_demo, watch_jobs
from service.errors import ErrorCode
from service.jobs.results import Failure, FieldViolation, Progress
from service.jobs.state import JobPhase, JobState
from tests.service.demo.answers import job, metrics

# The numbers of steps below are worked with; those of the real demo are tuned now and then.
SPEC = demo_specs(7)[0].model_copy(update={"steps": 30})


class ScriptedJob:
    """A service with one job that moves on with every look at it; None is a broken connection."""

    def __init__(self, *states):
        self.states = list(states)

    def __call__(self, request):
        if request.url.path.endswith("/metrics"):
            update = int(request.url.params["after_update"]) + 1
            return httpx.Response(200, text=metrics(train__loss=(update / 8,)).model_dump_json())
        state = self.states.pop(0)
        if state is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, text=state.model_dump_json())


def training(step):
    progress = Progress(step=step, total_steps=30, update=4 * step, total_updates=120)
    return job(SPEC, state=JobState.RUNNING, phase=JobPhase.TRAINING, progress=progress)


def watch(*states, tmp_path, check_service=lambda: None):
    console = Console(file=io.StringIO(), width=132)
    transport = httpx.MockTransport(ScriptedJob(*states))
    with Client("http://service.test", transport=transport, retry_for_s=0) as client:
        watch_jobs(
            [job(SPEC, state=JobState.QUEUED)],
            client=client,
            view=ProgressLines(console),
            check_service=check_service,
            log_folder=tmp_path,
            poll_s=0,
        )
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_watching_ends_with_the_jobs_and_shows_their_latest_loss(tmp_path):
    assert watch(training(2), training(3), job(SPEC), tmp_path=tmp_path) == [
        "sampled token training step 2/30 loss 1.0000",
        "sampled token succeeded step 0/30 loss 1.5000",
    ]


def test_an_api_that_is_away_for_a_moment_is_asked_again(tmp_path):
    assert len(watch(None, training(2), None, job(SPEC), tmp_path=tmp_path)) == 3


def test_a_failed_job_fails_the_demo_with_what_it_failed_of(tmp_path):
    failure = Failure(
        code=ErrorCode.NON_FINITE_LOSS,
        message="The loss of step 3 is not finite.",
        violations=(FieldViolation(field="steps", given="0", allowed="at least 1"),),
    )
    failed = job(SPEC, state=JobState.FAILED, failure=failure)
    with pytest.raises(DemoFailedError) as error:
        watch(training(2), failed, tmp_path=tmp_path)
    message = str(error.value)
    assert "'sampled token' (id of sampled token) is failed" in message
    assert "NON_FINITE_LOSS: The loss of step 3 is not finite." in message
    assert "steps: given 0, allowed at least 1" in message
    assert str(tmp_path) in message


def test_a_service_that_has_ended_fails_the_demo(tmp_path):
    def check_service():
        raise DemoFailedError("The service ended with status 1.")

    with pytest.raises(DemoFailedError, match="ended with status 1"):
        watch(training(2), training(3), tmp_path=tmp_path, check_service=check_service)


def test_a_service_that_cannot_start_is_reported_with_its_own_words(tmp_path, capsys):
    (tmp_path / "var").mkdir()
    with (tmp_path / "var" / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status = run_demo(
            data_dir=tmp_path / "var", seed=0, keep_up=False, output=tmp_path / "demo.json"
        )
    assert status == 1
    assert "Driftgate is already up on" in capsys.readouterr().out
    assert not (tmp_path / "demo.json").exists()
