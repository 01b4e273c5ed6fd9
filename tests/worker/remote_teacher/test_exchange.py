"""A server that is busy, slow, cut off, away or refuses, and what a job makes of each."""

import threading
import time

import pytest

from service.errors import DriftgateError, ErrorCode
from tests.worker.byte_model import byte_tokenizer
from tests.worker.remote_teacher.vllm_dialect import BEARER, KEY, RefusalError, VllmDialect
from worker.attempt_end import StopRequestedError
from worker.remote_teacher import exchange
from worker.remote_teacher.completions import scoring_request
from worker.remote_teacher.exchange import RefusedError, ask, ask_all

PROMPTS = [[3, 4, 5, 6], [7, 8, 9], [10, 11, 12, 13, 14]]


def scores(server, prompts=PROMPTS):
    requests = [scoring_request([each], [[1, 2]], server=server, k=2) for each in prompts]
    return [one for (one,) in ask_all(server, requests)]


def answering(status, message="busy", **headers):
    def refuse(_handler):
        raise RefusalError(status, message, headers)

    return refuse


def cut_off_in_the_middle(handler):
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')


def hanging_up(_handler):
    return None


def with_a_page_of_a_proxy(_handler):
    return b"<html>Bad gateway</html>"


def slowly(handler):
    """A byte now and then, so that no single wait is long."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    for _ in range(600):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.05)


@pytest.mark.parametrize(
    "fault",
    [
        *(answering(429), answering(500), answering(502), answering(503), answering(504)),
        *(cut_off_in_the_middle, hanging_up, with_a_page_of_a_proxy),
    ],
)
def test_what_may_pass_is_asked_again_and_what_was_answered_is_not(vllm, connect, events, fault):
    expected = scores(connect())
    vllm.bodies.clear()
    vllm.faults.extend([fault] * 3)

    assert scores(connect()) == expected

    assert len(vllm.bodies) == 3 + len(PROMPTS)
    assert [type_ for type_, _ in events] == ["teacher_unavailable", "teacher_available"]
    assert vllm.url in events[0][1]


def test_an_answer_that_comes_byte_by_byte_is_given_up_after_the_whole_time(vllm, connect, events):
    expected = scores(connect())
    vllm.faults.extend([slowly] * 3)

    assert scores(connect(timeout_s=1.0)) == expected

    assert "no whole answer within 1 s (teacher.request_timeout_s)" in events[0][1]


def test_once_a_request_has_failed_the_others_wait_their_turn(vllm, connect):
    vllm.faults.append(answering(429))

    scores(connect(max_concurrent_requests=1))

    assert [body["prompt"] for _, body in vllm.bodies] == [
        [each] for each in [PROMPTS[0], *PROMPTS]
    ]


def test_a_server_that_answers_some_requests_makes_no_event(vllm, connect, events):
    vllm.faults.append(lambda handler: handler.server.complete(vllm.bodies[-1][1]))
    vllm.faults.append(answering(429))

    scores(connect(max_concurrent_requests=1))

    assert events == []


def test_the_server_says_how_long_to_wait(vllm, connect, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_PAUSE_S", 0.3)
    vllm.faults.append(answering(429, **{"retry-after": "20"}))
    started = time.monotonic()

    scores(connect(), PROMPTS[:1])

    assert time.monotonic() - started >= 0.3


def test_a_server_that_stays_away_ends_the_wait_with_what_was_seen_last(
    connect, events, unused_port
):
    server = connect(url=f"http://127.0.0.1:{unused_port}/v1", patience_s=0.1)

    with pytest.raises(DriftgateError) as failure:
        scores(server)

    assert failure.value.code is ErrorCode.TEACHER_UNAVAILABLE
    assert f"127.0.0.1:{unused_port}/v1 was away for 0.1 s" in failure.value.message
    assert "ConnectError" in failure.value.message
    assert [type_ for type_, _ in events] == ["teacher_unavailable"]


def test_a_server_that_starts_in_time_is_used(connect, teacher_model, events, unused_port):
    server = connect(url=f"http://127.0.0.1:{unused_port}/v1", patience_s=20.0)

    holder = []

    def start():
        while not events:
            time.sleep(0.01)
        holder.append(VllmDialect(teacher_model, byte_tokenizer(), port=unused_port).__enter__())

    starter = threading.Thread(target=start)
    starter.start()
    try:
        assert len(scores(server)) == len(PROMPTS)
    finally:
        starter.join()
        holder[0].__exit__()
    assert [type_ for type_, _ in events] == ["teacher_unavailable", "teacher_available"]


@pytest.mark.parametrize("is_waiting", [True, False], ids=["between tries", "during a request"])
def test_a_stop_is_heeded_at_once(vllm, connect, monkeypatch, is_waiting):
    monkeypatch.setattr(exchange, "FIRST_PAUSE_S", 30.0)
    stop = threading.Event()
    server = connect(stop=stop, timeout_s=60.0, patience_s=600.0)
    vllm.faults.append(answering(503) if is_waiting else slowly)
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()

    with pytest.raises(StopRequestedError):
        scores(server, PROMPTS[:1])

    assert time.monotonic() - started < 15  # not the pause of 30 s, nor the time-out of 60


def test_nothing_is_asked_once_the_attempt_is_to_stop(vllm, connect):
    stop = threading.Event()
    stop.set()

    with pytest.raises(StopRequestedError):
        scores(connect(stop=stop))

    assert vllm.bodies == []


def test_the_key_goes_into_the_header_and_into_no_message(vllm, connect, caplog):
    vllm.wanted = BEARER
    assert len(scores(connect(api_key=KEY))) == len(PROMPTS)

    # This server repeats what it was given.
    vllm.faults.append(answering(503, f"no place for Bearer {KEY}"))
    scores(connect(api_key=KEY))
    assert "no place for Bearer [secret]" in caplog.text

    # Last: requests beside the refused one may reach the server after it.
    with pytest.raises(RefusedError) as refusal:
        scores(connect(api_key=f"{KEY}-else"))
    assert refusal.value.status == 401
    assert refusal.value.reason == "Unauthorized: Bearer [secret]"
    assert KEY not in caplog.text
    assert KEY not in repr(connect(api_key=KEY))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_the_server_will_not_do_is_not_asked_again(vllm, connect, status):
    vllm.faults.append(answering(status, "no\nsuch\x1b[31m thing"))

    with pytest.raises(RefusedError) as refusal:
        scores(connect(), PROMPTS[:1])

    assert (refusal.value.status, refusal.value.reason) == (status, "no such [31m thing")
    assert len(vllm.bodies) == 1


def test_a_redirect_is_not_followed(vllm, connect):
    vllm.faults.append(answering(307, location=f"{vllm.origin}/v1/completions"))

    with pytest.raises(RefusedError) as refusal:
        scores(connect(), PROMPTS[:1])

    assert "redirect, which is not followed" in refusal.value.reason
    assert len(vllm.bodies) == 1


def test_an_answer_larger_than_its_log_probs_can_be_is_not_read_to_its_end(vllm, connect):
    vllm.faults.append(lambda _handler: b" " * 40 * 2**20)

    with pytest.raises(DriftgateError) as failure:
        ask(connect(), scoring_request([[3, 4]], [[1]], server=connect(), k=2))

    assert failure.value.code is ErrorCode.TEACHER_INVALID
    assert "more than the log-probs that were asked for can take" in failure.value.message
