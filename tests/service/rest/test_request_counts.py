import asyncio
from types import SimpleNamespace

import pytest

from service.rest.request_counts import TEMPLATE, CountedRequests, RequestCounts

DURATION = "driftgate_http_request_duration_seconds"


def scope_of(path, *, method="GET", **fields):
    return {"type": "http", "method": method, "path": path} | fields


def samples(counts):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in counts.collect()
        for sample in family.samples
    }


def numbers(counts):
    return {
        labels: value
        for (name, *labels_), value in samples(counts).items()
        for labels in [tuple(labels_)]
        if name == "driftgate_http_requests_total"
    }


def answering(status):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


def ask(app, scope):
    sent = []

    async def send(message):
        sent.append(message["type"])

    asyncio.run(app(scope, receive, send))
    return sent


def test_an_address_counts_as_its_template():
    counts = RequestCounts()
    route = SimpleNamespace(path_format="/v1/jobs/{job_id}")
    counts.count(scope_of("/v1/jobs/1", route=route), 200, 0.1)
    counts.count(scope_of("/v1/jobs/2") | {TEMPLATE: "/v1/jobs/{job_id}"}, 304, 0.1)
    counts.count(scope_of("/v1/jobs/3", route=route), 204, 0.1)
    counts.count(scope_of("/static/main.js"), 200, 0.1)
    counts.count(scope_of("/openapi.json"), 200, 0.1)
    counts.count(scope_of("/v1/anything"), 404, 0.1)
    assert numbers(counts) == {
        ("GET", "/v1/jobs/{job_id}", "2xx"): 2,
        ("GET", "/v1/jobs/{job_id}", "3xx"): 1,
        ("GET", "/static/{path}", "2xx"): 1,
        ("GET", "/openapi.json", "2xx"): 1,
        ("GET", "unmatched", "4xx"): 1,
    }


def test_addresses_and_methods_that_nobody_knows_make_no_new_labels():
    counts = RequestCounts()
    for number in range(1000):
        counts.count(scope_of(f"/{number}", method=f"M{number}"), 404, 0.1)
    assert numbers(counts) == {("other", "unmatched", "4xx"): 1000}
    assert len(counts._durations) == 1


def test_durations_of_all_statuses_are_one_histogram():
    counts = RequestCounts()
    # The bounds are inclusive, as `le` says; 60 s is beyond all of them.
    for status, seconds in ((200, 0.001), (404, 0.0011), (200, 10.0), (200, 60.0)):
        counts.count(scope_of("/healthz"), status, seconds)
    found = samples(counts)
    assert found[DURATION + "_bucket", "GET", "/healthz", "0.001"] == 1
    assert found[DURATION + "_bucket", "GET", "/healthz", "0.0025"] == 2
    assert found[DURATION + "_bucket", "GET", "/healthz", "2.5"] == 2
    assert found[DURATION + "_bucket", "GET", "/healthz", "10.0"] == 3
    assert found[DURATION + "_bucket", "GET", "/healthz", "+Inf"] == 4
    assert found[DURATION + "_count", "GET", "/healthz"] == 4
    assert found[DURATION + "_sum", "GET", "/healthz"] == pytest.approx(70.0021)


def test_a_request_counts_as_soon_as_its_answer_begins():
    counts = RequestCounts()
    seen = []

    async def streams(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        seen.append(numbers(counts))
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    sent = ask(CountedRequests(streams, counts=counts), scope_of("/healthz"))
    assert seen == [{("GET", "/healthz", "2xx"): 1}]
    assert numbers(counts) == seen[0]
    assert sent == ["http.response.start", "http.response.body", "http.response.body"]


def test_a_defect_counts_once_whether_the_answer_had_begun_or_not():
    counts = RequestCounts()

    async def fails(_scope, _receive, _send):
        raise ZeroDivisionError

    async def fails_late(scope, receive, send):
        await answering(200)(scope, receive, send)
        raise ZeroDivisionError

    for app in (fails, fails_late):
        with pytest.raises(ZeroDivisionError):
            ask(CountedRequests(app, counts=counts), scope_of("/healthz"))
    assert numbers(counts) == {("GET", "/healthz", "5xx"): 1, ("GET", "/healthz", "2xx"): 1}


def test_what_is_no_request_is_handed_on():
    counts = RequestCounts()
    assert ask(CountedRequests(answering(200), counts=counts), {"type": "lifespan"})
    assert numbers(counts) == {}
