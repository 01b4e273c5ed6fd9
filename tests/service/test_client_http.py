import json

import httpx
import pytest

from service.client import Client
from service.errors import DriftgateError, ErrorCode, Violation
from tests.service.demo.answers import job
from tests.service.scripted_service import SPEC, LosesTheFirstAnswer, ScriptedService, problem


def test_a_refusal_is_raised_as_the_error_of_the_service():
    service = ScriptedService(
        problem(
            422,
            code="INVALID_SPEC",
            detail="steps is 0.",
            violations=[{"field": "steps", "given": "0", "allowed": "at least 1"}],
        )
    )
    with service.client() as client, pytest.raises(DriftgateError) as refusal:
        client.submit(SPEC)
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    assert refusal.value.message == "steps is 0."
    assert refusal.value.violations == (Violation("steps", "0", "at least 1"),)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((502, "<html>Bad gateway</html>"), "answered 502 without problem details"),
        ((500, '["not", "an", "object"]'), "answered 500 without problem details"),
        (problem(409, code="FROM_A_LATER_VERSION", detail="No."), "FROM_A_LATER_VERSION: No."),
    ],
)
def test_an_answer_that_names_no_known_code_is_an_internal_error_that_quotes_it(answer, message):
    with (
        ScriptedService(answer).client() as client,
        pytest.raises(DriftgateError, match=message) as refusal,
    ):
        client.get("1")
    assert refusal.value.code is ErrorCode.INTERNAL


def test_a_submission_whose_answer_is_lost_is_sent_again_and_makes_one_job(rest_service):
    transport = LosesTheFirstAnswer()
    with Client(rest_service.url, transport=transport) as client:
        job = client.submit(SPEC)
        assert transport.num_requests == 2
        assert client.list().jobs == (job,)
        assert client.submit(SPEC).id != job.id


def test_a_change_of_a_named_version_is_not_sent_twice():
    service = ScriptedService(httpx.ReadError("the connection broke"))
    with service.client(retry_for_s=30) as client, pytest.raises(httpx.ReadError):
        client.patch("1", priority=3, if_version=9)
    (request,) = service.requests
    assert request.headers["if-match"] == '"9"'
    assert json.loads(request.content) == {"priority": 3}


BUSY = (429, problem(429, code="RATE_LIMITED", detail="Too many.")[1], {"Retry-After": "0"})


def test_a_busy_service_is_asked_again_and_one_that_starts_again_too():
    service = ScriptedService(
        BUSY, httpx.ConnectError("refused"), (503, "starting"), (200, job(SPEC))
    )
    with service.client(retry_for_s=30) as client:
        assert client.get("1") == job(SPEC)
    assert len(service.requests) == 4


def test_a_refusal_that_names_a_later_time_than_there_is_patience_for_is_raised_with_it():
    busy = (*BUSY[:2], {"Retry-After": "7"})
    service = ScriptedService(busy)
    with service.client(retry_for_s=5) as client, pytest.raises(DriftgateError) as refusal:
        client.get("1")
    assert (refusal.value.code, refusal.value.retry_after_s) == (ErrorCode.RATE_LIMITED, 7)
    assert len(service.requests) == 1


def test_a_key_is_sent_without_the_line_end_of_its_file():
    service = ScriptedService((200, job(SPEC)))
    with service.client(api_key="dg_key\r\n") as client:
        client.get("1")
    assert service.requests[0].headers["authorization"] == "Bearer dg_key"


@pytest.mark.parametrize("key", ["dg_S3CR3T\nX-A: b", "dg_S3CR3T\u00fc", "dg_S3CR3T\0"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key):
    with pytest.raises(DriftgateError) as refusal:
        ScriptedService().client(api_key=key)
    assert refusal.value.code is ErrorCode.INVALID_ARGUMENT
    assert "S3CR3T" not in repr(refusal.value)
