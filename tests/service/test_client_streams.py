import time
from itertools import islice

from service.client_streams import ServerSentMessage, parse_messages
from service.jobs.state import JobState
from tests.service.running_service import in_background
from tests.service.scripted_service import SPEC


def test_waiting_and_streaming_outlast_a_restart_of_the_service(rest_service, rest_client):
    job_id = rest_client.submit(SPEC).id
    lease = rest_service.claim()

    def restart_and_finish():
        time.sleep(0.2)
        rest_service.stop()
        time.sleep(0.2)
        rest_service.start()
        rest_service.finish(lease)

    streamed = []
    with in_background(restart_and_finish):
        streamed += rest_client.stream_events(job_id)
    assert rest_client.wait(job_id, timeout_s=10).state is JobState.SUCCEEDED
    assert streamed == list(rest_client.iterate_events(job_id))
    assert list(rest_client.stream_events(job_id, after=len(streamed) - 1)) == streamed[-1:]
    assert list(rest_client.stream_events(job_id, after=len(streamed))) == []


def test_changes_of_all_jobs_are_streamed_from_a_token_on(rest_client):
    token = rest_client.changes().next_after
    first = rest_client.submit(SPEC)
    second = rest_client.submit(SPEC)
    changes = list(islice(rest_client.stream_changes(after=token), 2))
    assert [change.job for change in changes] == [first, second]


def test_messages_of_a_stream_survive_any_cut_and_an_unfinished_one_is_dropped():
    stream = (
        ": heartbeat\n\nretry: 2000\n\nid: 7\r\nevent: told\r\ndata: a\u2028b\r\ndata: c\r\n\r\n"
        "event: end\ndata:{}\n\nid: 8\ndata: cut"
    ).encode()
    expected = [
        ServerSentMessage("told", "7", "a\u2028b\nc".encode()),
        ServerSentMessage("end", None, b"{}"),
    ]
    for size in (1, 2, 7, len(stream)):
        chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert list(parse_messages(chunks)) == expected
