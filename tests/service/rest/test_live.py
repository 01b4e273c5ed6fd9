import asyncio
import hashlib
import json
import threading
import time
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from service.errors import ErrorCode
from service.jobs.access import Scope
from service.jobs.api_keys import ApiKeyRequest
from service.jobs.records import AttemptEvent, CheckpointRecord, PromptOverlapRecord
from service.jobs.state import JobState
from service.rest.app import create_app
from service.rest.job_examples import EXAMPLE_JOB_ID
from service.rest.live_examples import EXAMPLE_TOKEN
from service.rest.server import RestServer
from service.storage.api_key_store import ApiKeyStore
from service.storage.change_feed import place_of_feed_token
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.saved_checkpoints import saved_job

POLL_S = 0.05
HEARTBEAT_S = 0.2
PARTS = (
    "attempts",
    "events",
    "metrics",
    "metrics:latest",
    "drift-map",
    "gradient-fidelity",
    "results",
    "checkpoints",
)


class Live:
    """A server on a port of its own, and the stores through which a worker changes its jobs."""

    def __init__(self, settings, port):
        self.app = create_app(settings)
        self.operations = self.app.state.operations
        self.tailer = self.operations.tailer
        self.database = database = Database(settings.resolved_database_url())
        self.job_store, self.result_store = JobStore(database), ResultStore(database)
        self.port = port
        config = uvicorn.Config(self.app, port=port, log_level="warning", backlog=1024)
        self.server = RestServer(config, tailer=self.tailer)
        self.thread = threading.Thread(target=self.server.run)
        self.address = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.address, timeout=30)

    def submit(self, spec):
        response = self.client.post("/v1/jobs", json=spec)
        assert response.status_code == 201, response.text
        return response.json()["id"]

    def claim(self):
        return self.job_store.claim(queue="default", owner="a worker", lease_s=60).lease

    def add_events(self, lease, num_events):
        for number in range(num_events):
            self.job_store.add_event(lease, AttemptEvent(type="note", message=f"Note {number}."))

    def finish(self, lease):
        self.job_store.start_running(lease)
        self.job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")

    @property
    def num_connections_in_use(self):
        return self.operations._job_store._database.num_connections_in_use

    def stop(self):
        self.server.should_exit = True
        self.thread.join(timeout=20)
        self.client.close()


@pytest.fixture
def serve(settings_factory, redis_url, unused_port, wait_until):
    started = []

    def serve(database_url, **fields):
        settings = settings_factory(
            database_url=database_url,
            broker_url=redis_url,
            change_poll_s=POLL_S,
            stream_heartbeat_s=HEARTBEAT_S,
            **fields,
        )
        live = Live(settings, unused_port)
        started.append(live)
        live.thread.start()
        wait_until(lambda: live.server.started)
        return live

    yield serve
    for live in started:
        live.stop()


@pytest.fixture
def live(serve, sqlite_url):
    return serve(sqlite_url)


class Messages:
    """The messages of an event stream, out of the chunks of a response."""

    def __init__(self, reader):
        self._reader = reader
        self._text = ""

    async def next(self):
        """One message; empty at the end of the stream."""
        while "\n\n" not in self._text:
            size = int(await self._reader.readline(), 16)
            chunk = await self._reader.readexactly(size + 2)
            if size == 0:
                assert self._text == ""
                return ""
            self._text += chunk[:-2].decode()
        message, _, self._text = self._text.partition("\n\n")
        return message


@asynccontextmanager
async def opened(live, path, **headers):
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{live.port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"200 OK" in head, head
    try:
        yield Messages(reader)
    finally:
        writer.close()


async def read_messages(reader, *, until=None):
    """Each as (event, id, data), comments as ("comment", None, text), to the end or a message of an event."""
    messages = []
    while block := await reader.next():
        messages.append(parsed(block))
        if until is not None and messages[-1][0] == until:
            break
    return messages


def parsed(block):
    if block.startswith(":"):
        return ("comment", None, block[2:].strip())
    fields = dict(line.split(": ", 1) for line in block.strip().split("\n"))
    data = json.loads(fields["data"]) if "data" in fields else None
    return (fields.get("event"), fields.get("id"), data)


def told(messages):
    return [message for message in messages if message[0] not in (None, "comment")]


def stream_of(live, job_id, **headers):
    async def read():
        async with opened(live, f"/v1/jobs/{job_id}/events:stream", **headers) as reader:
            return await read_messages(reader)

    return asyncio.run(read())


# A job by its ETag


def test_an_unchanged_job_is_not_sent_again(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    address = f"/v1/jobs/{job['id']}"

    first = api.get(address)
    again = api.get(address, headers={"If-None-Match": first.headers["etag"]})
    api.post(f"{address}:pause")
    changed = api.get(address, headers={"If-None-Match": first.headers["etag"]})

    assert (first.headers["etag"], first.headers["cache-control"]) == ('"1"', "private, no-cache")
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == '"1"'
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["state"] == "paused"


def test_an_etag_is_known_in_every_form_of_the_header(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    statuses = {
        form: api.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": form}).status_code
        for form in ("*", 'W/"1"', '"0", "a,b" , W/"1"', '"10"', "1", '"', "")
    }
    assert statuses == {
        "*": 304,
        'W/"1"': 304,
        '"0", "a,b" , W/"1"': 304,
        '"10"': 200,
        "1": 200,
        '"': 200,
        "": 200,
    }


def test_head_answers_as_get_without_the_body(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    head, get = (api.request(method, f"/v1/jobs/{job['id']}") for method in ("HEAD", "GET"))
    assert (head.status_code, head.headers, head.content) == (200, get.headers, b"")
    assert api.head("/v1/jobs/" + "0" * 32).status_code == 404


def test_there_is_no_304_for_a_job_that_is_not_there(api):
    refused = api.get("/v1/jobs/nonsense", headers={"If-None-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (404, ErrorCode.JOB_NOT_FOUND)


def test_the_parts_of_an_unchanged_job_are_not_sent_again(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    parts = [f"/v1/jobs/{job['id']}/{part}" for part in PARTS]

    first = [api.get(part) for part in parts]
    headers = {"If-None-Match": '"1"'}
    again = [api.get(part, headers=headers) for part in parts]
    api.post(f"/v1/jobs/{job['id']}:pause")
    changed = [api.get(part, headers=headers) for part in parts]

    assert {(each.status_code, each.headers["etag"]) for each in first} == {(200, '"1"')}
    assert {(each.status_code, each.content) for each in again} == {(304, b"")}
    assert {(each.status_code, each.headers["etag"]) for each in changed} == {(200, '"2"')}
    assert api.get(f"/v1/jobs/{'0' * 32}/events", headers=headers).status_code == 404


def test_an_answer_without_a_version_is_sent_again_only_where_it_differs(
    api, settings, sqlite_url, spec
):
    database = Database(sqlite_url)
    job_id = saved_job(database, settings).job.id
    addresses = [
        "/v1/jobs",
        "/v1/jobs?state=queued&page_size=1",
        f"/v1/metrics:query?job_id={job_id}&key=train/loss",
        f"/v1/jobs/{job_id}/samples",
        f"/v1/jobs/{job_id}/checkpoints/4",
    ]
    for address in addresses:
        first = api.get(address)
        known = {"If-None-Match": f'"old", {first.headers["etag"]}'}
        again = api.get(address, headers=known)
        assert (again.status_code, again.content) == (304, b""), address
        for header in ("etag", "cache-control"):
            assert again.headers[header] == first.headers[header], address
        digest = hashlib.sha256(first.content).hexdigest()
        assert first.headers["etag"] == f'"{digest[:32]}"', address
        wrong = address.partition("?")[0] + "?frob=1"
        assert api.get(wrong, headers={"If-None-Match": "*"}).status_code == 400, address
    listed = api.get("/v1/jobs")
    api.post("/v1/jobs", json=spec)
    changed = api.get("/v1/jobs", headers={"If-None-Match": listed.headers["etag"]})
    assert (changed.status_code, len(changed.json()["jobs"])) == (200, 2)
    database.close()


@pytest.mark.parametrize(
    "query",
    [
        "events?after=-1",
        "events?limit=0",
        "attempts?limit=1",
        "metrics?names=nope",
        "metrics?after_update=x",
        "drift-map?max_rows=0",
        "results?include=nope",
        "gate:simulate?kernel=soft",
        "gate:simulate?block_size=0",
        "gate:simulate?min_span=9&max_span=8",
    ],
)
def test_a_wrong_parameter_is_refused_whatever_the_client_has(api, spec, query):
    address = f"/v1/jobs/{api.post('/v1/jobs', json=spec).json()['id']}/{query}"
    for headers in ({}, {"If-None-Match": '"1"'}, {"If-None-Match": "*"}):
        refused = api.get(address, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, ErrorCode.INVALID_ARGUMENT)


def test_every_write_of_a_worker_changes_the_etag(live, spec):
    """Of those that add no event; the event of the others has its own test."""
    job_id = live.submit(spec)
    lease = live.claim()
    live.result_store.record_checkpoint(
        lease,
        CheckpointRecord(
            step=1, update=1, uri="file:///x", size_bytes=1, manifest_sha256="0" * 64, final=False
        ),
    )
    versions = [live.job_store.version(job_id)]
    live.result_store.forget_checkpoint(lease, "file:///x")
    versions.append(live.job_store.version(job_id))
    live.result_store.record_overlap(
        lease,
        PromptOverlapRecord(
            benchmark="sums", num_prompts=1, num_overlapping=0, num_dropped=0, examples=()
        ),
    )
    versions.append(live.job_store.version(job_id))
    assert versions == [versions[0], versions[0] + 1, versions[0] + 2]


# Long polls


def test_a_long_poll_is_answered_as_soon_as_the_job_changes(live, spec):
    job_id = live.submit(spec)
    timer = threading.Timer(0.3, lambda: live.job_store.request_pause(job_id))
    timer.start()
    started_at = time.monotonic()

    response = live.client.get(
        f"/v1/jobs/{job_id}", headers={"If-None-Match": '"1"', "Prefer": "wait=20"}
    )

    assert 0.25 <= time.monotonic() - started_at < 5
    assert (response.status_code, response.json()["state"]) == (200, "paused")
    assert response.headers["preference-applied"] == "wait=20"


def test_a_long_poll_in_vain_is_a_304_at_the_end_of_its_time(live, spec):
    job_id = live.submit(spec)
    started_at = time.monotonic()

    response = live.client.get(
        f"/v1/jobs/{job_id}", headers={"If-None-Match": '"1"', "Prefer": "wait=1"}
    )

    assert 1 <= time.monotonic() - started_at < 4
    assert response.status_code == 304
    assert response.headers["preference-applied"] == "wait=1"


def test_a_wait_without_an_etag_is_for_the_end_of_the_job(live, spec):
    job_id = live.submit(spec)
    threading.Timer(0.1, lambda: live.job_store.request_pause(job_id)).start()
    threading.Timer(0.4, lambda: live.job_store.request_cancel(job_id)).start()

    response = live.client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"})

    assert response.json()["state"] == "cancelled"


def test_a_preference_is_granted_up_to_a_minute_or_ignored(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    api.post(f"/v1/jobs/{job['id']}:cancel")
    granted = {
        "wait=600": "wait=60",
        'respond-async, Wait="5"; x': "wait=5",
        "wait=0": "wait=0",
        "wait=-1": None,
        "wait": None,
        "await=5": None,
        "return=minimal; wait=5": None,
    }
    for prefer, applied in granted.items():
        response = api.get(f"/v1/jobs/{job['id']}", headers={"Prefer": prefer})
        assert response.headers.get("preference-applied") == applied


# Several jobs


def test_a_batch_keeps_the_order_and_names_what_is_missing(api, spec):
    ids = [api.post("/v1/jobs", json=spec).json()["id"] for _ in range(2)]
    asked = [ids[1], "nonsense\0", ids[0], ids[1]]

    response = api.get("/v1/jobs:batchGet", params={"job_id": asked})

    assert [job["id"] for job in response.json()["jobs"]] == [ids[1], ids[0]]
    assert response.json()["missing"] == ["nonsense\0"]


def test_a_batch_is_sent_again_when_one_of_its_jobs_changed(api, spec):
    ids = [api.post("/v1/jobs", json=spec).json()["id"] for _ in range(2)]
    params = {"job_id": ids}
    etag = api.get("/v1/jobs:batchGet", params=params).headers["etag"]
    headers = {"If-None-Match": etag}

    assert api.get("/v1/jobs:batchGet", params=params, headers=headers).status_code == 304
    assert api.get("/v1/jobs:batchGet", params={"job_id": ids[:1]}).headers["etag"] != etag
    api.post(f"/v1/jobs/{ids[1]}:pause")
    assert api.get("/v1/jobs:batchGet", params=params, headers=headers).status_code == 200


def test_a_batch_of_none_or_of_too_many_is_refused(api):
    for num_ids in (0, 101):
        refused = api.get("/v1/jobs:batchGet", params={"job_id": ["0" * 32] * num_ids})
        assert (refused.status_code, refused.json()["code"]) == (400, ErrorCode.INVALID_ARGUMENT)


def test_the_feed_tells_what_changed_since_the_token(api, spec):
    token = api.get("/v1/jobs:changes").json()["next_after"]
    job = api.post("/v1/jobs", json=spec).json()

    changes = api.get("/v1/jobs:changes", params={"after": token})

    assert changes.json()["changes"] == [{"job_id": job["id"], "job": job}]
    after = changes.json()["next_after"]
    assert api.get("/v1/jobs:changes", params={"after": after}).json() == {
        "changes": [],
        "next_after": after,
    }


def test_an_empty_feed_is_held_back_until_a_job_changes(live, spec):
    token = live.client.get("/v1/jobs:changes").json()["next_after"]
    headers = {"Prefer": "wait=1"}

    in_vain = live.client.get("/v1/jobs:changes", params={"after": token}, headers=headers)
    threading.Timer(0.2, lambda: live.submit(spec)).start()
    headers = {"Prefer": "wait=20"}
    in_time = live.client.get("/v1/jobs:changes", params={"after": token}, headers=headers)

    assert in_vain.json()["changes"] == []
    assert len(in_time.json()["changes"]) == 1


def test_a_foreign_token_is_refused_before_the_stream_begins(api):
    for path in ("/v1/jobs:changes", "/v1/jobs:watch"):
        refused = api.get(path, params={"after": "WzEsIDJd"})
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")


def test_the_token_of_the_description_is_one_of_the_feed():
    assert place_of_feed_token(EXAMPLE_TOKEN)[1] == EXAMPLE_JOB_ID


# Streams


def test_a_stream_tells_the_history_and_ends_after_the_job(live, spec):
    job_id = live.submit(spec)
    threading.Timer(0.2, lambda: live.finish(live.claim())).start()

    messages = stream_of(live, job_id)

    events = live.client.get(f"/v1/jobs/{job_id}/events").json()["events"]
    assert messages[0] == (None, None, None)  # retry
    assert told(messages) == [
        *[(event["type"], str(event["seq"]), event) for event in events],
        ("end", None, {"reason": "job_ended"}),
    ]


def test_a_stream_that_was_cut_goes_on_without_gap_and_double(live, spec):
    job_id = live.submit(spec)
    lease = live.claim()
    live.add_events(lease, 4)

    async def read_in_two_parts():
        path = f"/v1/jobs/{job_id}/events:stream"
        async with opened(live, path) as reader:
            first = [parsed(await reader.next()) for _ in range(4)][1:]
        await asyncio.to_thread(live.add_events, lease, 3)
        await asyncio.to_thread(live.finish, lease)
        async with opened(live, path, Last_Event_ID=first[-1][1]) as reader:
            return first, told(await read_messages(reader))

    first, rest = asyncio.run(read_in_two_parts())
    seqs = [int(seq) for _, seq, _ in first + rest[:-1]]
    assert seqs == list(range(1, 12))  # submitted, claimed, 4 and 3 notes, running, done


def test_the_header_wins_over_the_parameter(live, spec):
    job_id = live.submit(spec)
    live.job_store.request_cancel(job_id)
    path = f"/v1/jobs/{job_id}/events:stream"
    ended = live.client.get(path, params={"after": 0}, headers={"Last-Event-ID": "2"})
    assert (ended.status_code, ended.content) == (204, b"")


def test_a_client_that_comes_back_after_the_end_is_told_to_stop(live, spec):
    job_id = live.submit(spec)
    live.job_store.request_cancel(job_id)
    last_id = told(stream_of(live, job_id))[-2][1]
    again = live.client.get(f"/v1/jobs/{job_id}/events:stream", headers={"Last-Event-ID": last_id})
    assert again.status_code == 204


def test_a_place_that_the_job_has_not_come_to_is_refused(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    for last_id in ("3", "-1", "x", "", str(2**70), "1\u00e9"):
        refused = api.get(
            f"/v1/jobs/{job['id']}/events:stream", headers={"Last-Event-ID": last_id.encode()}
        )
        assert (refused.status_code, refused.json()["code"]) == (400, ErrorCode.INVALID_ARGUMENT)


def test_there_is_no_stream_of_a_job_that_is_not_there(api):
    refused = api.get(f"/v1/jobs/{'0' * 32}/events:stream")
    assert (refused.status_code, refused.json()["code"]) == (404, ErrorCode.JOB_NOT_FOUND)


def test_a_stream_with_nothing_to_say_sends_heartbeats(live, spec):
    job_id = live.submit(spec)

    async def read():
        async with opened(live, f"/v1/jobs/{job_id}/events:stream", Last_Event_ID=1) as reader:
            return [parsed(await reader.next())[0] for _ in range(4)]

    started_at = time.monotonic()
    assert asyncio.run(read()) == [None, "comment", "comment", "comment"]
    assert time.monotonic() - started_at >= 3 * HEARTBEAT_S


def test_a_client_that_goes_away_is_forgotten(live, spec, wait_until):
    job_id = live.submit(spec)

    async def look_in():
        async with opened(live, f"/v1/jobs/{job_id}/events:stream") as reader:
            await read_messages(reader, until="state_changed")
            assert live.tailer.num_followers == 1
            assert live.operations.limits._streams_by_caller.total() == 1

    asyncio.run(look_in())
    wait_until(lambda: live.tailer.num_followers == 0, timeout_s=5)
    wait_until(lambda: live.operations.limits._streams_by_caller.total() == 0, timeout_s=5)
    wait_until(lambda: live.tailer.is_idle, timeout_s=5)


def test_one_stream_tells_a_page_of_all_jobs_and_goes_on_where_it_was_cut(live, spec):
    first = live.submit(spec)

    async def watch():
        async with opened(live, "/v1/jobs:watch") as reader:
            _, start_token, _ = parsed(await reader.next())
            await asyncio.to_thread(live.job_store.request_pause, first)
            paused = told(await read_messages(reader, until="changed"))[-1]
        second = await asyncio.to_thread(live.submit, spec)
        async with opened(live, "/v1/jobs:watch", Last_Event_ID=paused[1]) as reader:
            submitted = told(await read_messages(reader, until="changed"))[-1]
        async with opened(live, f"/v1/jobs:watch?after={start_token}") as reader:
            both = [parsed(await reader.next()) for _ in range(3)][1:]
        return second, paused, submitted, both

    second, paused, submitted, both = asyncio.run(watch())
    assert paused[2]["job"]["state"] == "paused"
    assert submitted[2]["job_id"] == second
    assert both == [paused, submitted]


def test_a_stream_beyond_the_limit_is_refused(serve, sqlite_url, spec):
    live = serve(sqlite_url, max_streams=1)
    job_id = live.submit(spec)

    async def open_two():
        async with opened(live, f"/v1/jobs/{job_id}/events:stream"):
            return await asyncio.to_thread(live.client.get, "/v1/jobs:watch")

    refused = asyncio.run(open_two())
    assert (refused.status_code, refused.json()["code"]) == (429, ErrorCode.QUOTA_EXCEEDED)
    assert "retry-after" in refused.headers


def test_streams_and_long_polls_end_with_the_key_that_opened_them(live, spec):
    job_id = live.submit(spec)
    created = ApiKeyStore(live.database).create(ApiKeyRequest(name="a page", scope=Scope.READ))
    authorization = f"Bearer {created.key}"
    live.operations.authenticator.forget()

    async def follow():
        async with opened(live, "/v1/jobs:watch", authorization=authorization) as stream:
            poll = asyncio.create_task(
                asyncio.to_thread(
                    live.client.get,
                    f"/v1/jobs/{job_id}",
                    headers={"prefer": "wait=30", "authorization": authorization},
                )
            )
            await read_messages(stream, until="comment")
            live.operations.api_keys.revoke(created.api_key.id)
            rest = await asyncio.wait_for(read_messages(stream), 60)
            return told(rest), await poll

    messages, poll = asyncio.run(follow())

    assert messages == []
    assert (poll.status_code, poll.json()["code"]) == (401, "UNAUTHENTICATED")


def test_the_server_ends_its_streams_and_long_polls_when_it_stops(live, spec):
    job_id = live.submit(spec)
    headers = {"If-None-Match": '"1"', "Prefer": "wait=60"}

    async def follow():
        async with (
            opened(live, f"/v1/jobs/{job_id}/events:stream") as stream,
            opened(live, "/v1/jobs:watch") as feed,
            httpx.AsyncClient(base_url=live.address, timeout=30) as client,
        ):
            poll = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", headers=headers))
            await asyncio.sleep(0.3)
            live.server.should_exit = True
            return await read_messages(stream), await read_messages(feed), await poll

    started_at = time.monotonic()
    stream, feed, poll = asyncio.run(follow())
    live.thread.join(timeout=10)
    assert not live.thread.is_alive()
    assert time.monotonic() - started_at < 5
    assert [name for name, _, _ in told(stream)] == ["state_changed"]
    assert told(feed) == []
    assert poll.status_code == 304


def test_five_hundred_open_streams_hold_no_connection_and_all_see_the_end(
    serve, postgres_url, spec, wait_until
):
    live = serve(postgres_url)
    job_ids = [live.submit(spec) for _ in range(10)]
    leases = [live.claim() for _ in job_ids]

    async def follow(job_id, opened_streams):
        async with opened(live, f"/v1/jobs/{job_id}/events:stream") as reader:
            messages = await read_messages(reader, until="state_changed")
            opened_streams.append(job_id)
            return messages + await read_messages(reader)

    async def follow_all():
        opened_streams = []
        streams = [
            asyncio.create_task(follow(job_ids[number % 10], opened_streams))
            for number in range(500)
        ]
        while len(opened_streams) < 500:  # noqa: ASYNC110 of tasks, not of an event
            await asyncio.sleep(0.05)
        in_use = []
        for _ in range(30):
            in_use.append(live.num_connections_in_use)
            await asyncio.sleep(0.01)
        for lease in leases:
            await asyncio.to_thread(live.finish, lease)
        return in_use, await asyncio.gather(*streams)

    in_use, streams = asyncio.run(follow_all())

    assert set(in_use) <= {0, 1}  # the tailer's own
    for messages in streams:
        assert [name for name, _, _ in told(messages)] == ["state_changed"] * 4 + ["end"]
    wait_until(lambda: live.tailer.is_idle)
    assert live.num_connections_in_use == 0
