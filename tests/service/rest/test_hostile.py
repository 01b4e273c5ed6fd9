"""What no client sends on purpose, as raw bytes to a real server: a clear refusal, no defect, and no half-made job."""

import base64
import json
import logging
import re
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from urllib.parse import quote

import httpx
import pytest

from service.error_catalogue import CATALOGUE
from service.errors import ErrorCode
from service.jobs.api_keys import ApiKeyRequest
from service.rest import body_limit
from service.storage.api_key_store import ApiKeyStore
from tests.service.rest.conftest import SPEC
from tests.service.running_service import running_service

MAX_BODY_BYTES = 300_000
NO_JOB = "0" * 32
JSON = "Content-Type: application/json"
JSONL = "Content-Type: application/x-ndjson"


@pytest.fixture
def serve(settings_factory, redis_url, unused_port):
    with ExitStack() as stack:

        def start(database_url):
            settings = settings_factory(
                database_url=database_url, broker_url=redis_url, max_body_bytes=MAX_BODY_BYTES
            )
            return stack.enter_context(running_service(settings, unused_port))

        yield start


@pytest.fixture
def service(serve, database_url):
    return serve(database_url)


@pytest.fixture
def http_service(serve, sqlite_url):
    """For what never comes as far as the database."""
    return serve(sqlite_url)


@pytest.fixture
def no_defects(caplog):
    """Nothing that the server would call an error was logged, a traceback above all."""
    yield
    logged = [each for when in ("setup", "call") for each in caplog.get_records(when)]
    assert [each.getMessage() for each in logged if each.levelno >= logging.ERROR] == []


pytestmark = pytest.mark.usefixtures("no_defects")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: str
    body: bytes

    @property
    def code(self):
        """Of the problem; fails where the answer is none."""
        problem = json.loads(self.body)
        assert "application/problem+json" in self.headers
        assert CATALOGUE[ErrorCode(problem["code"])].http_status == self.status
        return problem["code"]


def connected(service):
    host, port = service.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def request_of(method, target, body=b"", *headers):
    lines = [b"Host: 127.0.0.1", *(each.encode("latin-1") for each in headers)]
    if body or method != "GET":
        lines.append(b"Content-Length: %d" % len(body))
    start = method.encode() + b" " + (target if isinstance(target, bytes) else target.encode())
    return start + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body


def read_answer(stream):
    status = int(stream.readline().split()[1])
    headers = b"".join(iter(stream.readline, b"\r\n")).decode("latin-1").lower()
    length = re.search(r"^content-length: (\d+)", headers, re.MULTILINE)
    body = stream.read(int(length[1])) if length else b""
    return Answer(status, headers, body)


def send(service, sent):
    with connected(service) as connection, connection.makefile("rb") as stream:
        connection.sendall(sent)
        return read_answer(stream)


def num_jobs(service):
    return len(httpx.get(f"{service.url}/v1/jobs").json()["jobs"])


SPEC_TEXT = json.dumps(SPEC)


def spec_with(field, value):
    """The bytes of a good spec but for the JSON of one field."""
    return f'{SPEC_TEXT[:-1]}, "{field}": {value}}}'.encode()


BODIES = {
    "cut": SPEC_TEXT.encode()[:-1],
    "more after it": SPEC_TEXT.encode() + b"{}",
    "no UTF-8": spec_with("name", '"é"').decode().encode("latin-1"),
    "UTF-8 of a surrogate": b'{"name": "\xed\xa0\x80"}',
    "a lone surrogate": spec_with("name", '"\\ud800"'),
    "a lone surrogate as a key": b'{"\\ud800": "\\udfff"}',
    "a lone surrogate in a label": spec_with("labels", '{"a": "\\ud800"}'),
    "NUL": spec_with("name", '"\\u0000"'),
    "NUL in a label": spec_with("labels", '{"a": "\\u0000"}'),
    "NUL in a model": spec_with("student", '{"model": "builtin/\\u0000"}'),
    "deep lists": b"[" * 100_000,
    "deep closed lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "a deep student": spec_with("student", "[" * 900 + "]" * 900),
    "a huge real": spec_with("steps", "1e999999"),
    "too many digits": spec_with("steps", "1" + "0" * 5000),
    "many digits": spec_with("steps", "1" + "0" * 4000),
    "more than 63 bits": spec_with("seed", str(2**63)),
    "NaN": spec_with("steps", "NaN"),
    "infinity": spec_with("steps", "-Infinity"),
    "a number as truth": spec_with("compute", '{"gradient_checkpointing": 1}'),
    "truth as a number": spec_with("steps", "true"),
    "text as a number": spec_with("steps", '"5"'),
    "many wrong elements": spec_with("evaluation", '{"k": [' + '"",' * 90_000 + "1]}"),
    "many unknown fields": b"{" + b",".join(b'"f%d":1' % i for i in range(25_000)) + b"}",
    "many wrong labels": spec_with(
        "labels", "{" + ",".join(f'"L{i}":""' for i in range(20_000)) + "}"
    ),
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
}


def test_bodies_that_are_no_spec_are_refused_quickly_and_make_no_job(service):
    begin = time.process_time()
    for name, body in BODIES.items():
        refused = send(service, request_of("POST", "/v1/jobs", body, JSON))
        assert refused.status in (400, 422), name
        assert refused.code in ("INVALID_ARGUMENT", "INVALID_SPEC"), name
    # The slowest would take minutes where every wrong element is told of.
    assert time.process_time() - begin < 20
    assert num_jobs(service) == 0


def test_other_bodies_with_such_values_are_refused(service):
    field_of = {
        f"/v1/jobs/{NO_JOB}": "labels",
        f"/v1/jobs/{NO_JOB}/checkpoints/final:export": "destination",
        "/v1/api-keys": "name",
        "/v1/webhooks": "url",
    }
    values = ['"\\ud800"', '"\\u0000"', "1e999", "[[[[", '{"\\ud800": 1}', "true"]
    for (path, field), value in product(field_of.items(), values):
        method = "PATCH" if path.endswith(NO_JOB) else "POST"
        body = f'{{"{field}": {value}}}'.encode()
        refused = send(service, request_of(method, path, body, JSON))
        assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT"), (path, value)


def test_problem_sets_with_such_rows_are_refused_and_leave_nothing(service):
    rows = [
        b"\xff\n",
        b'{"problem": "\\ud800"}\n',
        b'{"problem": "\\u0000"}\n',
        b"[" * 100_000,
        b'{"problem": 1' + b"0" * 5000 + b"}\n",
        b'{"problem": "p", "answer": 1e999999}\n',
    ]
    good = b'{"id": "1", "problem": "p"}\n'
    for body in (b"", *(good + row for row in rows)):
        refused = send(service, request_of("POST", "/v1/datasets", body, JSONL))
        assert (refused.status, refused.code) == (422, "DATASET_INVALID"), body[-30:]
    assert httpx.get(f"{service.url}/v1/datasets").json()["datasets"] == []


def test_a_body_that_is_not_said_to_be_json_is_refused(http_service):
    types = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "\xff"]
    for content_type in types:
        header = f"Content-Type: {content_type}"
        refused = send(http_service, request_of("POST", "/v1/jobs", SPEC_TEXT.encode(), header))
        assert (refused.status, refused.code) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert num_jobs(http_service) == 0


def test_a_body_beyond_the_limit_is_refused_however_it_comes(http_service):
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n{JSON}\r\n".encode()
    piece = b"%x\r\n%s\r\n" % (50_000, b" " * 50_000)
    ways = {
        "whole": request_of("POST", "/v1/jobs", b" " * (MAX_BODY_BYTES + 1), JSON),
        "in chunks": head + b"Transfer-Encoding: chunked\r\n\r\n" + 7 * piece + b"0\r\n\r\n",
        # Nothing of it comes: it is refused for what it promises.
        "promised": head + b"Content-Length: 99999999999\r\n\r\n{",
        "promised with very many digits": head + b"Content-Length: 18446744073709551614\r\n\r\n{",
    }
    for way, sent in ways.items():
        refused = send(http_service, sent)
        assert (refused.status, refused.code) == (413, "PAYLOAD_TOO_LARGE"), way


def test_what_is_no_http_is_answered_with_400(http_service):
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"NONSENSE /v1/jobs HTTP/1.1\r\n\r\n",
        b"GET /v1/jobs/a\x00b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /v1/jobs/\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        assert send(http_service, sent).status == 400


def token_of(place):
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def test_page_tokens_that_no_list_gave_are_refused_by_every_list(service):
    for _ in range(2):
        assert httpx.post(f"{service.url}/v1/jobs", json=SPEC).status_code == 201
    true_token = httpx.get(f"{service.url}/v1/jobs?page_size=1").json()["next_page_token"]
    feed_token = httpx.get(f"{service.url}/v1/jobs:changes").json()["next_after"]
    tokens = [
        true_token[:-3],
        true_token[5:],
        token_of({"a": 1}),
        token_of([10**30, "x"]),
        token_of([2**70]),
        token_of(["\0", "\0", "\0"]),
        token_of(["\ud800"]),
        token_of(["2026-01-01T00:00:00+00:00", "0" * 32]),
        base64.urlsafe_b64encode(b"[" * 700).decode(),
        base64.urlsafe_b64encode(b"[1" + b"0" * 700 + b"]").decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "é",
        "\0",
        "A" * 1001,
        "A" * 60_000,
    ]
    lists = [
        f"/v1/jobs?order_by=created_at&page_token={true_token}",
        f"/v1/jobs?state=queued&page_token={true_token}",
        *(f"/v1/{name}?page_token={true_token}" for name in ("datasets", "api-keys", "webhooks")),
        f"/v1/jobs:changes?after={true_token}",
        f"/v1/jobs:watch?after={true_token}",
        f"/v1/jobs?page_token={feed_token}",
    ]
    for token in map(quote, tokens):
        lists += [f"/v1/{name}?page_token={token}" for name in ("jobs", "datasets", "webhooks")]
        lists += [f"/v1/jobs:changes?after={token}", f"/v1/jobs:watch?after={token}"]
    for address in lists:
        refused = send(service, request_of("GET", address))
        assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT"), address


BAD_QUERIES = [
    ("/v1/jobs?stat=queued", "stat"),
    ("/v1/jobs?=queued", ""),
    ("/v1/jobs?page_size=1&page_size=2", "page_size"),
    ("/v1/jobs?page_size=1&%70age_size=2", "page_size"),
    ("/v1/jobs?model=%ff", "query"),
    ("/v1/jobs?model=%ed%a0%80", "query"),
    ("/v1/jobs?model=%00", "model"),
    ("/v1/jobs?model=" + "a" * 10_000, "model"),
    ("/v1/jobs?" + "&".join(["state=queued"] * 2001), "query"),
    ("/v1/jobs?label=%00%3Da", "label"),
    ("/v1/jobs?created_from=0", "created_from"),
    ("/v1/jobs?created_from=-1.5", "created_from"),
    ("/v1/jobs?created_from=0001-01-01T00:00:00%2B14:00", "created_from"),
    ("/v1/jobs?created_before=9999-12-31T23:59:59-14:00", "created_before"),
    ("/v1/jobs?created_before=2026-01-01T00:00:00", "created_before"),
    ("/v1/metrics:query?job_id=a&key=train/loss&x_from=1e400", "x_from"),
    ("/v1/metrics:query?job_id=a&key=%00", "key"),
    (f"/v1/jobs/{NO_JOB}?wait=30", "wait"),
    (f"/v1/jobs/{NO_JOB}/events:stream?after=-1", "after"),
    (f"/v1/jobs/{NO_JOB}/events:stream?after={10**30}", "after"),
    (f"/v1/jobs/{NO_JOB}/events:stream?afterr=1", "afterr"),
    ("/v1/jobs:watch?state=queued", "state"),
    (f"/v1/jobs/{NO_JOB}/checkpoints/final:archive?include=everything", "include"),
    (f"/v1/jobs/{NO_JOB}/checkpoints/..:archive", "step"),
    ("/v1/presets?name=x", "name"),
]


def test_a_query_that_an_address_does_not_know_is_refused_by_its_name(service):
    for address, field in BAD_QUERIES:
        refused = send(service, request_of("GET", address))
        assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT"), address[:100]
        assert json.loads(refused.body)["violations"][0]["field"] == field, address[:100]


def test_ids_that_cannot_be_are_not_found(service):
    parts = ["", "/results", "/events:stream", "/checkpoints/final:archive", "/metrics:latest"]
    for job_id in ("%00", "%ff", "%ed%a0%80", "%2e%2e", "a" * 10_000, "%F0%9F"):
        addresses = [f"/v1/jobs/{job_id}{part}" for part in parts]
        addresses += [f"/v1/{name}/{job_id}" for name in ("datasets", "api-keys", "webhooks")]
        addresses += [f"/v1/jobs/{job_id}/checkpoints/1/files/x", f"/static/{job_id}"]
        for address in addresses:
            refused = send(service, request_of("GET", address))
            assert refused.status == 404, address[:100]
            assert refused.code in ("JOB_NOT_FOUND", "RESOURCE_NOT_FOUND", "ROUTE_NOT_FOUND")


def test_targets_beside_the_api_are_not_found_and_not_redirected(http_service):
    for target in ("//v1/jobs", "/v1/jobs/", "/v1/jobs/../jobs", "*", "/" * 9999):
        refused = send(http_service, request_of("GET", target))
        assert (refused.status, refused.code) == (404, "ROUTE_NOT_FOUND")


def test_a_whole_url_as_the_target_is_its_path(http_service):
    assert send(http_service, request_of("GET", f"{http_service.url}/v1/jobs")).status == 200


def test_methods_that_an_address_does_not_take_are_answered_with_those_it_takes(http_service):
    allowed = {
        "/v1/jobs": "get, head, post",
        f"/v1/jobs/{NO_JOB}": "delete, get, head, patch",
        f"/v1/jobs/{NO_JOB}/events": "get, head",
        f"/v1/webhooks/{NO_JOB}:test": "post",
        "/v1/datasets": "get, head, post",
        "/": "get, head",
        "/openapi.json": "get, head",
        "/static/main.js": "get, head",
    }
    methods = ["OPTIONS", "TRACE", "PUT", "CONNECT", "QUERY"]
    for method, (path, expected) in product(methods, allowed.items()):
        refused = send(http_service, request_of(method, path))
        assert refused.status == 405
        assert f"\r\nallow: {expected}\r\n" in f"\r\n{refused.headers}", (method, path)


def test_odd_headers_are_refused_or_without_effect(service):
    made = httpx.post(f"{service.url}/v1/jobs", json=SPEC).json()
    path = f"/v1/jobs/{made['id']}"
    for header in (
        "If-None-Match: \xff",
        "If-None-Match: " + '"' * 5000,
        "Prefer: wait=-1",
        "Prefer: wait=" + "9" * 5000,
        "Prefer: \xff; wait=1x",
        "Authorization: Bearer \xff",
        "Authorization: " + "x" * 5000,
        "Origin: \xff",
        "Accept: application/xml",
        "Content-Type: \xff",
        "X-Unknown: " + "y" * 50_000,
    ):
        assert send(service, request_of("GET", path, b"", header)).status in (200, 401), header[:40]
    for header in ("If-Match: \xff", "If-Match: 1", 'If-Match: "' + "9" * 400 + '"'):
        refused = send(service, request_of("PATCH", path, b"{}", JSON, header))
        assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT")
    for header in ("Idempotency-Key: \xff", "Idempotency-Key: ", "Idempotency-Key: " + "k" * 5000):
        body = SPEC_TEXT.encode()
        refused = send(service, request_of("POST", "/v1/jobs", body, JSON, header))
        assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT")
    for header in ("Last-Event-ID: x", "Last-Event-ID: " + "9" * 400):
        refused = send(service, request_of("GET", f"{path}/events:stream", b"", header))
        assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT")


def test_clients_that_leave_in_the_middle_of_a_post_leave_nothing(service, wait_until):
    whole = request_of("POST", "/v1/jobs", SPEC_TEXT.encode(), JSON)
    upload = request_of("POST", "/v1/datasets", b'{"id": "1", "problem": "p"}\n' * 3, JSONL)
    for sent in (whole, upload):
        for num_bytes in (20, len(sent) - 40, len(sent) - 1):
            with connected(service) as connection:
                connection.sendall(sent[:num_bytes])
    assert httpx.get(f"{service.url}/healthz").is_success
    assert num_jobs(service) == 0
    assert httpx.get(f"{service.url}/v1/datasets").json()["datasets"] == []
    with connected(service) as connection:
        connection.sendall(
            whole
        )  # all of it came and was read: the job is made, whoever hears of it
        wait_until(lambda: num_jobs(service) == 1)
    assert num_jobs(service) == 1


def test_a_body_that_comes_byte_by_byte_is_read(http_service):
    sent = request_of("POST", "/v1/jobs", SPEC_TEXT.encode(), JSON)
    with connected(http_service) as connection, connection.makefile("rb") as stream:
        connection.sendall(sent[:-30])
        for place in range(len(sent) - 30, len(sent)):
            connection.sendall(sent[place : place + 1])
        assert read_answer(stream).status == 201


def test_a_body_that_stops_coming_is_not_waited_for(http_service, monkeypatch):
    monkeypatch.setattr(body_limit, "IDLE_TIMEOUT_S", 0.05)
    refused = send(http_service, request_of("POST", "/v1/jobs", SPEC_TEXT.encode(), JSON)[:-1])
    assert (refused.status, refused.code) == (400, "INVALID_ARGUMENT")
    assert num_jobs(http_service) == 0


def test_requests_in_one_go_are_answered_in_their_order(http_service):
    sent = [
        request_of("GET", "/v1/jobs"),
        request_of("POST", "/v1/jobs", b"{", JSON),
        request_of("GET", "/v1/nothing"),
        request_of("POST", "/v1/jobs", SPEC_TEXT.encode(), JSON),
        request_of("GET", "/healthz"),
    ]
    with connected(http_service) as connection, connection.makefile("rb") as stream:
        connection.sendall(b"".join(sent))
        statuses = [read_answer(stream).status for _ in sent]
    assert statuses == [200, 400, 404, 201, 200]


def test_without_the_right_key_no_address_tells_anything(service):
    job = httpx.post(f"{service.url}/v1/jobs", json=SPEC | {"name": "unspoken"}).json()
    keys = ApiKeyStore(service.database)
    keys.create(ApiKeyRequest(name="first", scope="admin"))
    reader = keys.create(ApiKeyRequest(name="reader", scope="read")).key
    foreign = f"{reader[:-1]}{'b' if reader[-1] == 'a' else 'a'}"
    description = httpx.get(f"{service.url}/openapi.json", timeout=60).json()["paths"]
    asked = [
        (method.upper(), path.replace("{job_id}", job["id"]).replace("{step}", "1"))
        for path, operations in description.items()
        for method in operations
        if path != "/healthz"
    ]
    assert len(asked) > 45
    service.stop()  # it knows within seconds that there are keys now, and at once after a start
    service.start()
    with httpx.Client(base_url=service.url) as client:
        for method, path in asked:
            for headers in ({}, {"authorization": f"Bearer {foreign}"}):
                refused = client.request(method, path, headers=headers)
                assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
                assert not {"unspoken", job["id"][:20]} & set(re.split(r"[\"/ ]", refused.text))
            is_reading = method == "GET" and not path.startswith(("/v1/api-keys", "/v1/webhooks"))
            if not is_reading and path != "/v1/api-keys:current":
                refused = client.request(
                    method, path, headers={"authorization": f"Bearer {reader}"}
                )
                assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
        still_there = client.get(
            f"/v1/jobs/{job['id']}", headers={"authorization": f"Bearer {reader}"}
        )
    assert still_there.json() == job
