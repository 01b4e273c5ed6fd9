"""A submission is answered beside the framework, or by it, and a client cannot tell which."""

import json

import pytest

from service.storage.known_specs import MAX_SPECS, KnownSpecs
from tests.worker.small_jobs import small_job

# What makes a request the endpoint's.
BY_THE_ENDPOINT = "application/json; charset=utf-8"
BESIDE_IT = "application/json"
OWN_FIELDS = ("id", "created_at", "updated_at")


@pytest.fixture
def settings(settings_factory, database_url, redis_url):
    return settings_factory(database_url=database_url, broker_url=redis_url)


@pytest.fixture
def post(api):
    def send(body, content_type, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return api.post(
            "/v1/jobs", content=content, headers={"content-type": content_type} | headers
        )

    return send


def test_both_ways_give_the_same_job(post, spec):
    beside, by_endpoint = post(spec, BESIDE_IT), post(spec, BY_THE_ENDPOINT)
    assert beside.status_code == by_endpoint.status_code == 201
    jobs = [answer.json() for answer in (beside, by_endpoint)]
    assert beside.headers["location"] == f"/v1/jobs/{jobs[0]['id']}"
    assert beside.headers.keys() == by_endpoint.headers.keys()
    assert beside.headers["etag"] == by_endpoint.headers["etag"]
    for name in OWN_FIELDS:
        assert jobs[0].pop(name) != jobs[1].pop(name)
    assert jobs[0] == jobs[1]


def test_a_key_is_the_same_key_both_ways(post, spec, spec_with):
    first = post(spec, BESIDE_IT, **{"idempotency-key": "k"})
    assert post(spec, BY_THE_ENDPOINT, **{"idempotency-key": "k"}).json() == first.json()
    other = spec_with("steps", 6)
    refusals = [
        post(other, content_type, **{"idempotency-key": "k"})
        for content_type in (BESIDE_IT, BY_THE_ENDPOINT)
    ]
    assert [refusal.status_code for refusal in refusals] == [409, 409]
    assert refusals[0].json() == refusals[1].json()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"steps": NaN}',
        b"\xff",
        b'{"name": "\\ud800"}',
        b"[" * 5000,
        '{"name": "a"}'.encode("utf-16"),
    ],
)
def test_what_is_no_spec_is_refused_in_the_same_words(post, body):
    beside, by_endpoint = post(body, BESIDE_IT), post(body, BY_THE_ENDPOINT)
    assert beside.status_code == by_endpoint.status_code
    assert 400 <= beside.status_code < 500
    assert beside.json() == by_endpoint.json()


def test_a_spec_that_cannot_run_is_refused_in_the_same_words(post, spec_with):
    wrong = spec_with("teacher.model", "builtin/no")
    beside, by_endpoint = post(wrong, BESIDE_IT), post(wrong, BY_THE_ENDPOINT)
    assert beside.json() == by_endpoint.json()
    assert beside.json()["code"] == "MODEL_NOT_FOUND"


def test_a_job_reads_the_same_whether_its_spec_is_known_or_not(api, post, spec):
    job = post(spec, BESIDE_IT).json()
    path = f"/v1/jobs/{job['id']}"
    store = api.app.state.operations._job_store
    assert store._known_specs.get(job["id"]) is None
    assert api.get(path).json() == job
    assert store._known_specs.get(job["id"]) is not None
    assert api.get(path).json() == job
    api.post(f"{path}:cancel")
    assert api.get(path).json()["state"] == "cancelled"
    api.delete(path)
    assert api.get(path).status_code == 404


def test_known_specs_are_few_and_small():
    known = KnownSpecs()
    known.add("large", small_job(labels={f"{number:060}": "v" * 200 for number in range(64)}))
    assert known.get("large") is None
    for number in range(MAX_SPECS + 1):
        known.add(str(number), small_job())
    assert known.get("0") is None
    assert known.get(str(MAX_SPECS)) is not None
