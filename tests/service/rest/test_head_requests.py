"""HEAD is answered wherever GET is: with the same status and headers, and without a body."""

import asyncio
import re
import tempfile

import httpx
import pytest

from service.jobs.api_keys import ApiKeyRequest
from service.rest.closing_stream import ClosingStream
from service.rest.head_requests import HeadRequests
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database
from tests.saved_checkpoints import saved_job
from tests.service.running_service import running_service

JSONL = {"content-type": "application/x-ndjson"}
STREAMS = {"/v1/jobs:watch", "/v1/jobs/{job_id}/events:stream"}
CHANGING = {"/metrics"}


@pytest.fixture
def database(sqlite_url):
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def job_id(database, settings):
    """Of a job that has saved checkpoints."""
    return saved_job(database, settings).job.id


@pytest.fixture
def addresses_of(job_id):
    """Every address that the description has a GET for, with ids of what there is; none that streams without an end or
    answers otherwise each time.
    """

    def fill_in(client):
        rows = b'{"id": "1", "problem": "1 + 1", "answer": "2"}\n'
        dataset = client.post("/v1/datasets", content=rows, headers=JSONL).json()
        names = {
            "job_id": job_id,
            "step": "4",
            "name": "model.safetensors",
            "dataset_id": dataset["id"],
        }
        return [
            re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "0" * 32), path)
            for path, operations in client.get("/openapi.json").json()["paths"].items()
            if "get" in operations and path not in STREAMS | CHANGING
        ]

    return fill_in


def test_head_has_the_status_and_the_headers_of_get_everywhere(api, addresses_of):
    pages = ["/", "/static/main.js", "/openapi.json", "/static/nothing.js", "/v1/nothing"]
    addresses = addresses_of(api)
    assert len(addresses) > 30
    for address in [*addresses, *pages]:
        got, head = api.get(address), api.head(address)
        assert (head.status_code, head.headers) == (got.status_code, got.headers), address
        assert head.content == b"", address


def test_head_of_what_the_client_has_is_304_and_a_range_does_not_count(api, job_id):
    job, checkpoints = f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/checkpoints"
    weights = f"{checkpoints}/4/files/model.safetensors"
    known = {"if-none-match": api.head(job).headers["etag"]}
    assert api.head(job, headers=known).status_code == 304
    assert api.head(f"{checkpoints}/4:archive").headers["content-type"] == "application/x-tar"
    for asked in ("bytes=0-9", "bytes=9999-", "rows=1"):
        whole = api.head(weights, headers={"range": asked})
        assert (whole.status_code, whole.headers["content-length"]) == (200, "4096")


def test_a_server_goes_on_after_the_head_of_every_address(settings, unused_port, addresses_of):
    """A body that came after all would be read as the next answer on the connection."""
    with (
        running_service(settings, unused_port) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        for address in [*addresses_of(client), "/v1/jobs:watch"]:
            assert client.head(address).status_code in (200, 400, 404, 409), address
            assert client.get("/healthz").json() == {"status": "ok"}


def test_head_of_a_stream_holds_no_place(client_of, settings, job_id):
    narrow = settings.model_copy(update={"max_streams": 1})
    with client_of(narrow) as client:
        for _ in range(3):
            for address in ("/v1/jobs:watch", f"/v1/jobs/{job_id}/events:stream"):
                head = client.head(address)
                assert (head.status_code, head.content) == (200, b"")
                assert head.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_head_needs_the_scope_of_get_and_changes_nothing(api, database):
    reading = ApiKeyStore(database).create(ApiKeyRequest(name="a test", scope="read")).key
    headers = {"authorization": f"Bearer {reading}"}
    assert api.head("/v1/jobs", headers=headers).status_code == 200
    assert api.head("/v1/webhooks", headers=headers).status_code == 403
    assert api.head("/v1/jobs").status_code == 401
    refused = api.head("/v1/jobs/a:cancel", headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_the_description_has_no_operation_of_its_own_for_head(api):
    paths = api.get("/openapi.json").json()["paths"]
    assert [path for path, operations in paths.items() if "head" in operations] == []


def test_what_a_body_would_be_read_from_is_closed_and_was_not_read():
    asked, sent = [], []

    def pieces():
        asked.append("a piece")
        yield b"a piece"

    async def nothing_comes():
        await asyncio.sleep(60)

    async def keep(message):
        sent.append(message)

    with tempfile.TemporaryFile() as source:
        stream = ClosingStream(
            pieces(), source=source, headers={"content-length": "7"}, media_type="text/plain"
        )
        for spec_version in ("2.3", "2.4"):
            scope = {
                "type": "http",
                "method": "HEAD",
                "headers": [],
                "asgi": {"spec_version": spec_version},
            }
            asyncio.run(HeadRequests(stream)(scope, nothing_comes, keep))
        assert source.closed
    assert asked == []
    assert [message.get("body", b"") for message in sent] == [b"", b""] * 2
    assert (b"content-length", b"7") in sent[0]["headers"]
