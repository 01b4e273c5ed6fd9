"""Bad input: each refusal is problem details that name the field, what was given, what is allowed."""

import pytest

from tests.service.studies.played_runs import STUDY

PROBLEM = "application/problem+json"


def assert_is_problem(response, status, code):
    assert response.headers["content-type"] == PROBLEM
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "retryable", "violations"}
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    return problem["violations"]


@pytest.mark.parametrize(
    ("path", "value", "field", "given", "allowed"),
    [
        ("gate.block_size", 0, "gate.block_size", "0", "at least 1"),
        ("gate.block_size", "x", "gate.block_size", '"x"', "a whole number"),
        ("steps", 0, "steps", "0", "at least 1"),
        ("steps", -(10**400), "steps", "-1000", "at least 1"),
        ("gate.blocksize", 16, "gate.blocksize", "a number that is not shown", "block_size"),
        (
            "prompts.problems.num",
            1,
            "prompts.problems.num",
            "a number that is not shown",
            "num_problems",
        ),
        (
            "prompts.problems.source",
            "web",
            "prompts.problems.source",
            '"web"',
            "arithmetic, file",
        ),
        ("gate.strength", {"adaptive": -1}, "gate.strength.adaptive", "-1", "more than 0"),
        (
            "evaluation.k",
            [1, 16],
            "evaluation.samples_per_problem",
            "8",
            "pass@16 needs at least 16 samples",
        ),
        (
            "evaluation.benchmarks.0.problems.num_problems",
            0,
            "evaluation.benchmarks.0.problems.num_problems",
            "0",
            "at least 1",
        ),
        ("reuse", {"minibatches": 100}, "reuse.minibatches", "100", "32 responses"),
        ("student", {}, "student.model", "nothing", "a value"),
        ("labels", {"Not Allowed": "x"}, "labels.Not Allowed", '"Not Allowed"', "1 to 63 of a-z"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(
    api, spec_with, path, value, field, given, allowed
):
    violations = assert_is_problem(
        api.post("/v1/jobs", json=spec_with(path, value)), 422, "INVALID_SPEC"
    )
    violation = next(one for one in violations if one["field"] == field)
    assert given in violation["given"]
    assert allowed in violation["allowed"]


@pytest.mark.parametrize(
    ("path", "violation"),
    [
        ("/v1/jobs:batchGet", ("job_id", "nothing", "a value, for it has no default")),
        ("/v1/metrics:query?job_id=a", ("key", "nothing", "a value, for it has no default")),
        ("/v1/jobs?page_size=x", ("page_size", '"x"', "a whole number")),
        ("/v1/jobs?page_size=0", ("page_size", '"0"', "at least 1")),
        (
            "/v1/jobs?order_by=age",
            ("order_by", '"age"', "created_at desc, created_at, updated_at desc"),
        ),
        (
            "/v1/jobs?created_from=2026-01-02T03:04:05",
            (
                "created_from",
                '"2026-01-02T03:04:05"',
                "a time of RFC 3339 with its zone, such as 2026-01-31T12:00:00Z",
            ),
        ),
        (
            f"/v1/jobs/{'0' * 32}/checkpoints/first",
            ("step", '"first"', "a number of at most 7 digits, final or latest"),
        ),
    ],
)
def test_a_wrong_parameter_is_answered_in_plain_words(api, path, violation):
    (found,) = assert_is_problem(api.get(path), 400, "INVALID_ARGUMENT")
    assert (found["field"], found["given"], found["allowed"]) == violation


def test_an_element_that_is_refused_does_not_make_its_list_too_short(api):
    refused = api.post("/v1/webhooks", json={"url": "https://h.example", "event_types": ["nope"]})
    (violation,) = assert_is_problem(refused, 400, "INVALID_ARGUMENT")
    assert (violation["field"], violation["given"]) == ("event_types.0", '"nope"')
    refused = api.post("/v1/webhooks", json={"url": "https://h.example", "event_types": []})
    (violation,) = assert_is_problem(refused, 400, "INVALID_ARGUMENT")
    assert (violation["field"], violation["allowed"]) == ("event_types", "at least 1 item")


def test_every_wrong_field_is_named_at_once(api, spec, spec_with):
    spec_with("steps", 0)
    spec_with("gate.kernel", "linear")
    violations = assert_is_problem(api.post("/v1/jobs", json=spec), 422, "INVALID_SPEC")
    assert {one["field"] for one in violations} == {"steps", "gate.kernel"}


def test_a_refused_spec_makes_no_job(api, spec_with):
    api.post("/v1/jobs", json=spec_with("steps", 0))
    assert api.get("/v1/jobs").json()["jobs"] == []


def test_what_the_preflight_refuses_keeps_its_own_code(api, spec_with):
    violations = assert_is_problem(
        api.post("/v1/jobs", json=spec_with("student.model", "builtin/nothing")),
        422,
        "MODEL_NOT_FOUND",
    )
    assert violations[0]["field"].startswith("student")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"steps": 3', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 50_000, "application/json"),
    ],
)
def test_a_body_that_is_not_json_is_refused(api, body, content_type):
    refused = api.post("/v1/jobs", content=body, headers={"content-type": content_type})
    assert_is_problem(refused, 400, "INVALID_ARGUMENT")


def test_a_body_of_another_type_is_refused(api):
    form = {"content-type": "application/x-www-form-urlencoded"}
    refused = api.post("/v1/jobs", content=b'{"steps": 3}', headers=form)
    assert_is_problem(refused, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"3"])
def test_json_that_is_no_object_is_no_spec(api, body):
    refused = api.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert_is_problem(refused, 422, "INVALID_SPEC")


@pytest.mark.parametrize(
    "path", ["/v1/jobs/nothing", f"/v1/jobs/{'0' * 32}", "/v1/jobs/a%00b", "/v1/jobs/%ff/results"]
)
def test_an_unknown_job_is_not_found(api, path):
    violations = assert_is_problem(api.get(path), 404, "JOB_NOT_FOUND")
    assert violations[0]["field"] == "job_id"


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/static/nothing.js", "/v1/jobs/a/b"])
def test_an_unknown_address_is_not_found(api, path):
    assert_is_problem(api.get(path), 404, "ROUTE_NOT_FOUND")


def test_a_wrong_method_is_refused_with_the_right_ones(api):
    refused = api.delete("/v1/jobs")
    assert_is_problem(refused, 405, "METHOD_NOT_ALLOWED")
    assert refused.headers["allow"]


@pytest.mark.parametrize(
    "verb",
    [
        "jobs/a:cancel",
        f"jobs/{'0' * 32}:pause",
        "jobs/a/checkpoints/final:export",
        "studies/a:cancel",
        "api-keys/a:rotate",
        "webhooks/a:test",
        "webhooks/a/deliveries/b:redeliver",
    ],
)
def test_the_address_of_a_verb_takes_a_post_only_and_is_that_of_no_id(api, verb):
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        refused = api.request(method, f"/v1/{verb}", json={})
        assert_is_problem(refused, 405, "METHOD_NOT_ALLOWED")
        assert refused.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["jobs/a:frob", "jobs/a/checkpoints/4:frob", "studies/a:frob", "webhooks/a:cancel"]
)
def test_a_verb_that_there_is_not_is_no_address_at_all(api, path):
    for method in ("GET", "POST", "DELETE"):
        assert_is_problem(api.request(method, f"/v1/{path}", json={}), 404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/jobs?page_size=0", "page_size"),
        ("/v1/jobs?page_size=1001", "page_size"),
        ("/v1/jobs?state=done", "state"),
        ("/v1/jobs?page_token=x", "page_token"),
        ("/v1/jobs?label=team=t1&label=team=t0", "label"),
        (f"/v1/jobs/{'0' * 32}/metrics?names=train/nothing", "names"),
        (f"/v1/jobs/{'0' * 32}/events?after=-1", "after"),
        (f"/v1/jobs/{'0' * 32}/events?after={10**30}", "after"),
    ],
)
def test_a_wrong_parameter_is_named(api, path, field):
    violations = assert_is_problem(api.get(path), 400, "INVALID_ARGUMENT")
    assert violations[0]["field"] == field


@pytest.mark.parametrize("key", ["", "é", "x" * 256])
def test_a_key_that_cannot_be_kept_is_refused(api, spec, key):
    refused = api.post("/v1/jobs", json=spec, headers={"Idempotency-Key": key.encode("latin-1")})
    violations = assert_is_problem(refused, 400, "INVALID_ARGUMENT")
    assert violations[0]["field"] == "idempotency_key"


def test_two_idempotency_keys_are_refused_and_make_nothing(api, spec):
    export = {"destination": {"type": "folder", "path": "out"}}
    keys = [("idempotency-key", "first"), ("idempotency-key", "second")]
    for path, body in (
        ("/v1/jobs", spec),
        ("/v1/studies", STUDY),
        (f"/v1/jobs/{'0' * 32}/checkpoints/4:export", export),
    ):
        refused = api.post(path, json=body, headers=keys)
        (violation,) = assert_is_problem(refused, 400, "INVALID_ARGUMENT")
        assert (violation["field"], violation["given"]) == ("idempotency_key", "2 headers")
    assert api.get("/v1/jobs").json()["jobs"] == []
    assert api.get("/v1/studies").json()["studies"] == []
