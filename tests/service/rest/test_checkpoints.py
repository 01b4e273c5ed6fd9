"""What only the REST layer adds to checkpoints: addresses, ranges, headers, export jobs."""

import hashlib
import io
import tarfile
import threading

import httpx
import pytest
import uvicorn

from service.rest.app import create_app
from service.rest.checkpoint_examples import EXPORT_EXAMPLES
from service.storage.sessions import Database
from tests.saved_checkpoints import FILES, LOADABLE, WEIGHTS, lose, saved_job, truncate

WEIGHTS_ETAG = f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'


@pytest.fixture
def saved(settings, sqlite_url):
    database = Database(sqlite_url)
    yield saved_job(database, settings)
    database.close()


@pytest.fixture
def address(saved):
    return f"/v1/jobs/{saved.job.id}/checkpoints"


@pytest.fixture
def weights(address):
    return f"{address}/4/files/model.safetensors"


def names_in(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [name.partition("/")[2] for name in tar.getnames()]


def test_checkpoints_are_listed_and_each_shows_its_files(api, saved, address):
    listed = api.get(address)
    assert [each["step"] for each in listed.json()["checkpoints"]] == [4, 2]
    unchanged = api.get(address, headers={"If-None-Match": listed.headers["etag"]})
    assert unchanged.status_code == 304

    final = api.get(f"{address}/final").json()
    assert final["checkpoint"] == listed.json()["checkpoints"][0]
    assert [file["name"] for file in final["files"]] == sorted(FILES)


def test_a_file_is_downloaded_with_its_hash_as_etag_and_known_ones_are_not_sent_again(
    api, address, weights
):
    answer = api.get(weights)
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    assert answer.headers["etag"] == WEIGHTS_ETAG
    assert answer.headers["content-length"] == str(len(WEIGHTS))
    assert 'filename="model.safetensors"' in answer.headers["content-disposition"]
    assert api.get(weights, headers={"If-None-Match": WEIGHTS_ETAG}).status_code == 304
    below = api.get(f"{address}/4/files/adapter/adapter_config.json")
    assert below.content == FILES["adapter/adapter_config.json"]


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("0-9", 0, 9), ("4000-", 4000, 4095), ("-6", 4090, 4095)]
)
def test_a_part_of_a_file_is_sent_where_a_range_asks_for_it(api, weights, asked, first, last):
    part = api.get(weights, headers={"Range": f"bytes={asked}", "If-Range": WEIGHTS_ETAG})
    assert (part.status_code, part.content) == (206, WEIGHTS[first : last + 1])
    assert part.headers["content-range"] == f"bytes {first}-{last}/4096"
    changed = api.get(weights, headers={"Range": f"bytes={asked}", "If-Range": '"other"'})
    assert (changed.status_code, len(changed.content)) == (200, 4096)


def test_several_ranges_come_in_one_answer(api, weights):
    several = api.get(weights, headers={"Range": "bytes=0-1, 8-9"})
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert (several.status_code, several.content.count(b"Content-Range")) == (206, 2)


def assert_reads_ranges_as_rfc_9110_does(client, weights):
    """Of a file of 4,096 bytes."""
    for asked in ("items=0-1", "rows=9-3", "items=a-b"):
        whole = client.get(weights, headers={"Range": asked})
        assert (whole.status_code, whole.content) == (200, WEIGHTS), asked
    for asked, first, last in (
        ("bytes=0-9999999999999999999", 0, 4095),
        ("bytes=-9999999999999999999", 0, 4095),
        ("bytes=0000000000000000000008-9", 8, 9),
        ("Bytes=8-9", 8, 9),
        ("bytes=, 8-9 ,", 8, 9),
        ("bytes=8-9, 4096-4097", 8, 9),
        ("bytes=4096-, -0, 8-9", 8, 9),
    ):
        part = client.get(weights, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, WEIGHTS[first : last + 1]), asked
        assert part.headers["content-range"] == f"bytes {first}-{last}/4096"


def test_ranges_are_read_as_rfc_9110_says(api, weights):
    assert_reads_ranges_as_rfc_9110_does(api, weights)
    several = api.get(weights, headers={"Range": "bytes=0-1, 8-9, 4096-"})
    assert (several.status_code, several.content.count(b"Content-Range")) == (206, 2)


def assert_refuses_ranges_beyond_the_end(client, weights):
    """Of a file of 4,096 bytes."""
    for asked in (
        "bytes=4096-",
        "bytes=99999-",
        "bytes=-0",
        "bytes=-0, 4096-4097",
        f"bytes=1{'0' * 30}-",
    ):
        for if_range in ({}, {"If-Range": WEIGHTS_ETAG}):
            beyond = client.get(weights, headers={"Range": asked} | if_range)
            assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */4096")
            assert beyond.headers["content-type"] == "application/problem+json"
            assert beyond.json()["code"] == "RANGE_NOT_SATISFIABLE"
            assert beyond.json()["violations"][0]["given"] == asked
    changed = client.get(weights, headers={"Range": "bytes=4096-", "If-Range": '"other"'})
    assert (changed.status_code, len(changed.content)) == (200, 4096)


def test_a_range_beyond_the_end_is_refused_with_the_size_of_the_file(api, weights):
    assert_refuses_ranges_beyond_the_end(api, weights)
    since = {"If-Range": api.head(weights).headers["last-modified"]}
    beyond = api.get(weights, headers={"Range": "bytes=4096-"} | since)
    assert beyond.json()["code"] == "RANGE_NOT_SATISFIABLE"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=9-3",
        "bytes=0-1, 9-3",
        "bytes=",
        "bytes=,",
        "bytes",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-2;3-4",
        "1-2",
    ],
)
def test_a_range_that_cannot_be_read_is_refused(api, weights, asked):
    refused = api.get(weights, headers={"Range": asked})
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert refused.json()["violations"][0]["field"] == "range"


def test_an_archive_is_streamed_with_the_size_it_announces(api, saved, address):
    answer = api.get(f"{address}/latest:archive")
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert f"{saved.job.id}-step-4.tar" in answer.headers["content-disposition"]
    whole = api.get(f"{address}/4:archive", params={"include": "optimizer"})
    assert names_in(answer.content) == [*LOADABLE, "manifest.json"]
    assert names_in(whole.content) == [*sorted(FILES), "manifest.json"]
    assert api.get(f"{address}/4:archive", params={"include": "all"}).status_code == 400


def test_what_is_not_there_or_not_as_it_was_saved_is_refused(api, saved, address):
    for path, status, code in (
        ("/3", 404, "RESOURCE_NOT_FOUND"),
        ("/4/files/no.json", 404, "RESOURCE_NOT_FOUND"),
        ("/4/files/..%2f..%2fx", 404, "RESOURCE_NOT_FOUND"),
        ("/4/files/%00", 404, "RESOURCE_NOT_FOUND"),
        ("/newest", 400, "INVALID_ARGUMENT"),
        ("/4:unpack", 404, "ROUTE_NOT_FOUND"),
    ):
        answer = api.get(address + path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
    assert api.get(f"/v1/jobs/{'0' * 32}/checkpoints/4").json()["code"] == "JOB_NOT_FOUND"
    truncate(saved.folder(4) / "model.safetensors")
    corrupt = api.get(f"{address}/4:archive")
    assert (corrupt.status_code, corrupt.json()["code"]) == (500, "CHECKPOINT_CORRUPT")
    lose(saved, 2)
    assert "does not see" in api.get(f"{address}/2").json()["detail"]


def test_a_client_notices_that_a_file_changed_while_its_archive_was_sent(
    settings, saved, address, unused_port, wait_until, monkeypatch
):
    """The last byte differs, and nothing of the file's last part is sent: the length is not reached."""
    app = create_app(settings.model_copy(update={"http_port": unused_port}))
    operations = app.state.operations.checkpoint_files
    server = uvicorn.Server(uvicorn.Config(app, port=unused_port, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    made = operations.archive

    def change_then_send(*arguments, **include):
        archive = made(*arguments, **include)
        (saved.folder(4) / "model.safetensors").write_bytes(WEIGHTS[:-1] + b"!")
        return archive

    monkeypatch.setattr(operations, "archive", change_then_send)
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://127.0.0.1:{unused_port}{address}/4:archive")
    finally:
        server.should_exit = True
        thread.join()


def test_an_export_is_a_job_that_the_same_key_makes_once(api, saved, address):
    body = {"destination": {"type": "folder", "path": "out"}, "name": "for serving"}
    headers = {"Idempotency-Key": "one export"}
    created = api.post(f"{address}/2:export", json=body, headers=headers)

    assert created.status_code == 201
    job = created.json()
    assert (job["state"], job["name"]) == ("queued", "for serving")
    assert (job["spec"]["kind"], job["spec"]["step"]) == ("export", 2)
    assert job["spec"]["job_id"] == saved.job.id
    assert api.get(created.headers["location"]).json() == job
    again = api.post(f"{address}/2:export", json=body, headers=headers)
    assert again.json()["id"] == job["id"]
    other = api.post(f"{address}/4:export", json=body, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    needed = api.delete(f"/v1/jobs/{saved.job.id}")
    assert (needed.status_code, needed.json()["code"]) == (409, "JOB_IN_USE")


def test_an_export_as_a_spec_is_the_same_job_and_can_be_planned(api, saved):
    spec = {
        "kind": "export",
        "job_id": saved.job.id,
        "destination": {"type": "folder", "path": "out"},
    }
    plan = api.post("/v1/jobs", json=spec, params={"validate_only": True})
    assert (plan.status_code, plan.json()["job"]) == (200, None)
    assert api.post("/v1/jobs", json=spec).json()["spec"]["step"] is None
    refused = api.post("/v1/jobs", json=spec | {"step": 3}, params={"validate_only": True})
    assert (refused.status_code, refused.json()["violations"][0]["field"]) == (422, "step")


@pytest.mark.parametrize("example", EXPORT_EXAMPLES.values(), ids=EXPORT_EXAMPLES)
def test_the_examples_of_the_description_are_accepted(api, address, example):
    assert api.post(f"{address}/final:export", json=example["value"]).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "destination"),
        ({"destination": {"type": "folder"}}, "destination.path"),
        ({"destination": {"type": "folder", "path": "../out"}}, "destination.path"),
        ({"destination": {"type": "folder", "path": "out"}, "steps": 1}, "steps"),
    ],
)
def test_an_export_whose_body_is_wrong_is_refused_naming_the_field(api, address, body, field):
    refused = api.post(f"{address}/4:export", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert refused.json()["violations"][0]["field"] == field


def test_samples_of_an_export_are_refused_with_the_job_to_ask(api, address):
    body = {"destination": {"type": "folder", "path": "out"}}
    job = api.post(f"{address}/4:export", json=body).json()
    refused = api.get(f"/v1/jobs/{job['id']}/samples")
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")


def test_the_description_names_every_address_once(api):
    paths = api.get("/openapi.json").json()["paths"]
    ours = {
        path.partition("/checkpoints")[2]: set(paths[path])
        for path in paths
        if "checkpoints" in path
    }
    assert ours == {
        "": {"get"},
        "/{step}": {"get"},
        "/{step}:archive": {"get"},
        "/{step}:export": {"post"},
        "/{step}/files/{name}": {"get"},
    }


@pytest.fixture
def weights_in_bucket(settings, bucket, client_of):
    """A client of an API whose artifacts are in a bucket, and the address of a file there."""
    settings = settings.model_copy(update=bucket.settings())
    database = Database(settings.database_url)
    saved = saved_job(database, settings)
    with client_of(settings) as client:
        yield client, f"/v1/jobs/{saved.job.id}/checkpoints/4/files/model.safetensors"
    database.close()


def test_a_file_of_an_object_store_is_downloaded_whole_and_in_parts(weights_in_bucket):
    client, weights = weights_in_bucket
    answer = client.get(weights)
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    assert answer.headers["etag"] == WEIGHTS_ETAG
    assert answer.headers["content-length"] == str(len(WEIGHTS))
    assert 'filename="model.safetensors"' in answer.headers["content-disposition"]
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=4000-", 4000, 4095),
        ("bytes=4000-9999", 4000, 4095),
        ("bytes=-6", 4090, 4095),
        ("bytes=-9999", 0, 4095),
    ):
        part = client.get(weights, headers={"Range": asked, "If-Range": WEIGHTS_ETAG})
        assert (part.status_code, part.content) == (206, WEIGHTS[first : last + 1]), asked
        assert part.headers["content-range"] == f"bytes {first}-{last}/4096"
    assert_reads_ranges_as_rfc_9110_does(client, weights)
    assert_refuses_ranges_beyond_the_end(client, weights)
    for headers in ({"Range": "bytes=0-1, 4-5"}, {"Range": "bytes=0-1", "If-Range": '"old"'}):
        whole = client.get(weights, headers=headers)
        assert (whole.status_code, whole.content) == (200, WEIGHTS)
    known = client.get(weights, headers={"If-None-Match": WEIGHTS_ETAG})
    assert (known.status_code, known.content) == (304, b"")


def test_damage_in_an_object_store_is_refused_before_the_first_byte(weights_in_bucket, bucket):
    client, weights = weights_in_bucket
    (name,) = (name for name in bucket.names() if name.endswith("step-4/model.safetensors"))
    bucket.put(name, WEIGHTS[:-1])
    assert client.get(weights).json()["code"] == "CHECKPOINT_CORRUPT"
    bucket.delete(name)
    assert client.get(weights).json()["code"] == "CHECKPOINT_CORRUPT"
