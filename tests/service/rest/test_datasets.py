import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from service.rest import streamed_body
from service.rest.app import create_app

CONTENT = b'{"id": "a", "problem": "1+1", "answer": "2"}\n{"id": "b", "problem": "2+2"}\n'
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
def settings(settings):
    # Ten times as much as a body of another endpoint.
    return settings.model_copy(update={"max_dataset_bytes": 1_000_000})


@pytest.fixture
def server(settings, wait_until):
    """The address of a real server: what goes over a socket does not arrive in one piece."""
    with running_server(settings, wait_until) as address:
        yield address


@contextlib.contextmanager
def running_server(settings, wait_until):
    config = uvicorn.Config(
        create_app(settings), port=0, log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


def upload(api, content=CONTENT, **options):
    return api.post("/v1/datasets", content=content, headers=NDJSON, **options)


def files_of(settings):
    folder = settings.uploads_folder()
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@contextlib.contextmanager
def half_an_upload(server, *, sent=CONTENT, promised=10_000):
    """A connection on which a part of the body has been sent."""
    with socket.create_connection(server) as connection:
        head = (
            f"POST /v1/datasets HTTP/1.1\r\nHost: 127.0.0.1:{server[1]}\r\n"
            f"Content-Type: application/jsonl\r\nContent-Length: {promised}\r\n\r\n"
        )
        connection.sendall(head.encode() + sent)
        yield connection


def test_a_set_is_uploaded_listed_read_downloaded_and_deleted(api, settings):
    created = upload(api, params={"name": "sums"})
    dataset = created.json()
    address = f"/v1/datasets/{dataset['id']}"

    assert created.status_code == 201
    assert created.headers["location"] == address
    assert (dataset["name"], dataset["num_problems"], dataset["num_answers"]) == ("sums", 2, 1)
    assert api.get(address).json() == dataset
    assert api.get("/v1/datasets").json() == {"datasets": [dataset], "next_page_token": None}
    downloaded = api.get(f"{address}/content")
    assert downloaded.content == CONTENT
    assert downloaded.headers["content-type"] == "application/x-ndjson"
    assert downloaded.headers["content-length"] == str(len(CONTENT))
    assert files_of(settings) == [f"{dataset['id']}.jsonl"]

    deleted = api.delete(address)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert files_of(settings) == []
    for method, path in (("GET", address), ("GET", f"{address}/content"), ("DELETE", address)):
        gone = api.request(method, path)
        assert (gone.status_code, gone.json()["code"]) == (404, "RESOURCE_NOT_FOUND")


def test_the_same_content_again_answers_200_with_the_set_that_is_there(api):
    first = upload(api, params={"name": "first"})
    again = upload(api, params={"name": "second"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]


def test_pages_follow_each_other(api):
    ids = [upload(api, b'{"problem": "%d"}' % number).json()["id"] for number in range(3)]

    first = api.get("/v1/datasets", params={"page_size": 2}).json()
    second = api.get(
        "/v1/datasets", params={"page_size": 2, "page_token": first["next_page_token"]}
    ).json()

    assert [one["id"] for one in first["datasets"] + second["datasets"]] == ids[::-1]
    assert second["next_page_token"] is None


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"content-type": "application/json"}, "content-type"),
        ({"content-type": "text/plain"}, "content-type"),
        ({}, "content-type"),
        ({"content-type": "application/jsonl; charset=latin-1"}, "content-type"),
        (NDJSON | {"content-encoding": "gzip"}, "content-encoding"),
    ],
)
def test_a_body_that_is_not_said_to_be_plain_jsonl_is_refused(api, headers, field):
    refused = api.post("/v1/datasets", content=CONTENT, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert refused.json()["violations"][0]["field"] == field


@pytest.mark.parametrize(
    "content_type",
    ["application/jsonl", "Application/X-NDJSON", 'application/jsonl; charset="UTF-8"'],
)
def test_jsonl_has_several_names(api, content_type):
    created = api.post("/v1/datasets", content=CONTENT, headers={"content-type": content_type})

    assert created.status_code == 201


def test_a_wrong_row_is_refused_by_its_line(api, settings):
    refused = upload(api, CONTENT + b'\n{"id": "c"}\n', params={"name": "my set"})

    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "DATASET_INVALID"
    assert refused.json()["detail"] == "Line 4 of 'my set' (content) has no `problem`."
    assert files_of(settings) == []


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x00b"])
def test_a_bad_name_is_refused(api, name):
    refused = upload(api, params={"name": name})

    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert refused.json()["violations"][0]["field"] == "name"


def test_a_set_may_be_larger_than_other_bodies_and_is_refused_beyond_its_own_limit(api, settings):
    row = b'{"problem": "' + b"x" * 10_000 + b'"}\n'
    assert upload(api, row * 90).status_code == 201
    for content in (row * 101, (row for _ in range(101))):  # with a length, and without
        refused = upload(api, content)
        assert (refused.status_code, refused.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert refused.json()["violations"][0]["allowed"] == "at most 1,000,000 bytes"
    assert len(files_of(settings)) == 1

    elsewhere = api.post("/v1/jobs", content=row * 11, headers={"content-type": "application/json"})
    assert elsewhere.status_code == 413


def test_a_job_names_an_uploaded_set_and_is_planned_and_keeps_it_from_deletion(api, spec):
    dataset = upload(api).json()
    source = {"source": "dataset", "dataset_id": dataset["id"]}
    spec["prompts"]["problems"] = source

    plan = api.post("/v1/jobs", params={"validate_only": True}, json=spec)
    assert plan.status_code == 200
    assert plan.json()["spec"]["prompts"]["problems"] == source
    job = api.post("/v1/jobs", json=spec).json()

    refused = api.delete(f"/v1/datasets/{dataset['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "JOB_IN_USE")
    api.post(f"/v1/jobs/{job['id']}:cancel")
    assert api.delete(f"/v1/datasets/{dataset['id']}").status_code == 204

    gone = api.post("/v1/jobs", json=spec)
    assert (gone.status_code, gone.json()["code"]) == (422, "DATASET_NOT_FOUND")
    assert gone.json()["violations"][0]["field"] == "prompts.problems.dataset_id"


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(server, settings, wait_until):
    with half_an_upload(server):
        wait_until(lambda: len(files_of(settings)) == 1)

    wait_until(lambda: files_of(settings) == [])
    page = httpx.get(f"http://127.0.0.1:{server[1]}/v1/datasets").json()
    assert page["datasets"] == []


def test_a_server_stops_although_an_upload_is_under_way(settings, wait_until):
    with contextlib.ExitStack() as stack:
        with running_server(settings, wait_until) as server:
            stack.enter_context(half_an_upload(server))
            wait_until(lambda: len(files_of(settings)) == 1)

        wait_until(lambda: files_of(settings) == [])


def test_a_client_that_stops_sending_is_refused_after_a_while(server, settings, monkeypatch):
    monkeypatch.setattr(streamed_body, "IDLE_TIMEOUT_S", 0.2)
    with half_an_upload(server) as connection:
        connection.settimeout(10)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Nothing more of the body came for 0.2 seconds" in answer
    assert files_of(settings) == []


def test_slow_uploads_are_few_and_keep_nobody_else_waiting(server, settings, wait_until):
    address = f"http://127.0.0.1:{server[1]}"
    with contextlib.ExitStack() as stack:
        for _ in range(streamed_body.MAX_BODIES):
            stack.enter_context(half_an_upload(server))
        wait_until(lambda: len(files_of(settings)) == streamed_body.MAX_BODIES)

        started = time.monotonic()
        assert httpx.get(f"{address}/v1/datasets").is_success
        assert time.monotonic() - started < 5
        refused = httpx.post(f"{address}/v1/datasets", content=CONTENT, headers=NDJSON)
        assert (refused.status_code, refused.json()["code"]) == (429, "QUOTA_EXCEEDED")

    wait_until(lambda: files_of(settings) == [])
    uploaded = httpx.post(f"{address}/v1/datasets", content=CONTENT, headers=NDJSON)
    assert uploaded.status_code == 201


def test_a_refusal_reaches_a_client_that_is_still_sending(server):
    def endless():
        yield b"no JSON\n"
        for _ in range(200):
            yield b" " * 100_000

    refused = httpx.post(
        f"http://127.0.0.1:{server[1]}/v1/datasets", content=endless(), headers=NDJSON, timeout=60
    )

    assert (refused.status_code, refused.json()["code"]) == (422, "DATASET_INVALID")
    assert refused.headers["connection"] == "close"


def test_the_description_of_the_api_says_how_to_upload(api):
    operation = api.get("/openapi.json").json()["paths"]["/v1/datasets"]["post"]

    assert set(operation["requestBody"]["content"]) == {"application/x-ndjson", "application/jsonl"}
    assert {"200", "201", "413", "415", "422", "429"} <= set(operation["responses"])
