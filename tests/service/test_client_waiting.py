import time

import httpx
import pytest

from service.client import Client
from service.jobs.results import Progress
from service.jobs.state import JobState
from tests.service.demo.answers import job
from tests.service.running_service import in_background
from tests.service.scripted_service import SPEC, ScriptedService


def running(step):
    progress = Progress(step=step, total_steps=30, update=4 * step, total_updates=120)
    return job(SPEC, state=JobState.RUNNING, progress=progress)


def test_waiting_ends_with_the_job_and_reports_each_change_once():
    ended = job(SPEC, state=JobState.FAILED)
    answers = [running(1), running(1), running(2), ended]
    seen = []
    with ScriptedService(*((200, answer) for answer in answers)).client() as client:
        assert client.wait("1", poll_s=0, on_change=seen.append) == ended
    assert seen == [running(1), running(2), ended]


def test_waiting_longer_than_wanted_raises():
    with (
        ScriptedService((200, running(1))).client() as client,
        pytest.raises(TimeoutError, match="still running after 0 s"),
    ):
        client.wait("1", poll_s=0, timeout_s=0)


class CountsRequests(httpx.HTTPTransport):
    def __init__(self):
        super().__init__()
        self.num_requests = 0

    def handle_request(self, request):
        self.num_requests += 1
        return super().handle_request(request)


def test_waiting_is_told_of_each_change_when_it_happens_and_asks_no_more_than_that(rest_service):
    transport = CountsRequests()
    with Client(rest_service.url, transport=transport) as client:
        job_id = client.submit(SPEC).id
        seen = []

        def work():
            time.sleep(0.3)
            lease = rest_service.claim()
            time.sleep(1)
            rest_service.finish(lease)

        with in_background(work):
            started = time.monotonic()
            ended = client.wait(job_id, poll_s=0, timeout_s=20, on_change=seen.append)
    assert ended.state is JobState.SUCCEEDED
    assert time.monotonic() - started < 5
    states = [one.state for one in seen]
    assert states[0] is JobState.QUEUED
    assert states[-2:] == [JobState.RUNNING, JobState.SUCCEEDED]
    # The submission, and an answer for each change: a poll every few milliseconds would be hundreds.
    assert transport.num_requests <= 6


def test_waiting_for_a_service_that_is_away_ends_with_the_timeout(rest_service, rest_client):
    job_id = rest_client.submit(SPEC).id
    rest_service.stop()
    with pytest.raises(TimeoutError, match=r"does not answer within 0\.3 s"):
        rest_client.wait(job_id, timeout_s=0.3)
    rest_service.start()
    with pytest.raises(TimeoutError, match=r"still queued after 0\.2 s"):
        rest_client.wait(job_id, timeout_s=0.2)


def test_a_wait_outlasts_a_restart_of_the_service(rest_service, rest_client):
    job_id = rest_client.submit(SPEC).id
    lease = rest_service.claim()

    def restart_and_finish():
        time.sleep(0.2)  # by now the wait is held
        rest_service.stop()
        rest_service.finish(lease)
        rest_service.start()

    with in_background(restart_and_finish):
        assert rest_client.wait(job_id, timeout_s=20).state is JobState.SUCCEEDED
