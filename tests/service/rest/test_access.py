import hashlib
import re

import pytest
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from service.jobs.api_keys import ApiKeyRequest
from service.operations import build_operations
from service.rest.access import Access
from service.rest.app import create_app
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database

KEY = "a secret key"


@pytest.fixture
def locked_api(settings_factory, sqlite_url, client_of):
    key_hash = hashlib.sha256(KEY.encode()).hexdigest()
    settings = settings_factory(database_url=sqlite_url, api_key_sha256=("0" * 64, key_hash))
    with client_of(settings) as client:
        yield client


@pytest.fixture
def open_api(settings_factory, sqlite_url, client_of):
    with client_of(settings_factory(database_url=sqlite_url)) as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8400", "127.0.0.1:9", "[::1]:8400"])
def test_without_keys_this_machine_is_answered(open_api, host):
    assert open_api.get("/v1/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8400", "", "[", "10.0.0.1", "x@localhost"]
)
def test_without_keys_another_host_name_is_refused(open_api, host):
    refused = open_api.get("/v1/jobs", headers={"host": host})
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN_ORIGIN")


def test_a_request_for_two_hosts_is_for_none(open_api):
    both = [("host", "localhost"), ("host", "evil.example")]
    refused = open_api.get("/v1/jobs", headers=both)
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN_ORIGIN")


def test_without_keys_a_page_of_another_site_may_not_write(open_api, spec):
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
        refused = open_api.post("/v1/jobs", json=spec, headers={"origin": origin})
        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN_ORIGIN")
    own = open_api.post("/v1/jobs", json=spec, headers={"origin": "http://127.0.0.1:8400"})
    assert own.status_code == 201


def test_with_keys_a_right_one_is_needed(locked_api):
    wrong = [{}, {"authorization": "Bearer nothing"}, {"authorization": f"Basic {KEY}"}]
    for headers in wrong:
        refused = locked_api.get("/v1/jobs", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
        assert refused.headers["www-authenticate"] == "Bearer"
    right = {"authorization": f"Bearer {KEY}", "host": "driftgate.example"}
    assert locked_api.get("/v1/jobs", headers=right).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/openapi.json", "/static/index.html"])
def test_what_holds_no_data_needs_no_key(locked_api, path):
    assert locked_api.get(path).status_code == 200


@pytest.fixture
def stored(sqlite_url):
    """Keys made on the server, as `driftgate keys` makes them."""
    database = Database(sqlite_url)
    yield ApiKeyStore(database)
    database.close()


@pytest.fixture
def key_of(stored):
    def make(scope="write", **fields):
        request = ApiKeyRequest(name="a test", scope=scope, **fields)
        return {"authorization": f"Bearer {stored.create(request).key}"}

    return make


@pytest.fixture
def guard_of(settings_factory, sqlite_url):
    """Access before an application that answers with the caller it was given, whatever was asked."""

    def make(**fields):
        settings = settings_factory(**({"database_url": sqlite_url} | fields))
        operations = build_operations(settings)
        guard = Access(
            say_who_asks,
            authenticator=operations.authenticator,
            limits=operations.limits,
            settings=settings,
        )
        return TestClient(guard, base_url="http://127.0.0.1:8400")

    return make


async def say_who_asks(scope, receive, send):
    caller = scope.get("state", {}).get("caller")
    answer = JSONResponse({"key_id": caller and caller.key_id, "scope": caller and caller.scope})
    await answer(scope, receive, send)


def every_operation(settings):
    document = create_app(settings).openapi()
    methods = {"get", "post", "put", "patch", "delete"}
    return [
        (method.upper(), re.sub(r"\{\w+\}", "0" * 32, path))
        for path, operations in document["paths"].items()
        for method in methods & set(operations)
    ]


def test_every_operation_asks_for_its_scope(guard_of, key_of, settings):
    guard = guard_of()
    keys = {scope: key_of(scope) for scope in ("read", "write", "admin")}
    operations = every_operation(settings)
    assert {method for method, _ in operations} >= {"GET", "POST", "DELETE"}
    for method, path in operations:
        is_for_admins = path.startswith(("/v1/api-keys", "/v1/webhooks"))
        needed = "admin" if is_for_admins else "read" if method == "GET" else "write"
        needed = "read" if path == "/v1/api-keys:current" else needed
        allowed = {"read": 3, "write": 2, "admin": 1}[needed]
        answers = [guard.request(method, path, headers=key).status_code for key in keys.values()]
        expected = [403] * (3 - allowed) + [200] * allowed
        assert answers == ([200] * 3 if path == "/healthz" else expected), (method, path)


def test_a_key_to_read_is_for_get_and_head_only(guard_of, key_of):
    guard, reading = guard_of(), key_of("read")
    assert guard.head("/v1/jobs", headers=reading).status_code == 200
    for method in ("OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "FOO"):
        assert guard.request(method, "/v1/jobs", headers=reading).status_code == 403


def test_no_spelling_of_an_admin_path_is_for_writers(guard_of, key_of):
    guard, writing = guard_of(), key_of("write")
    for path in (
        "/v1/api-keys",
        "/v1/api-keys/",
        "/v1/api-keys/x",
        "/v1/%61pi-keys",
        "/v1/webhooks/x",
    ):
        refused = guard.get(path, headers=writing)
        assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
        assert refused.json()["violations"] == [
            {"field": "scope", "given": "write", "allowed": "admin or more"}
        ]


def test_the_caller_is_handed_on(guard_of, key_of, stored):
    assert guard_of().get("/v1/jobs").json() == {"key_id": "", "scope": "admin"}
    key = key_of("read")
    (made,) = stored.list_keys(limit=10).api_keys
    answer = guard_of().get("/v1/jobs", headers=key)
    assert answer.json() == {"key_id": made.id, "scope": "read"}


def test_what_is_no_key_of_this_server_is_refused(guard_of, key_of):
    guard = guard_of()
    key = key_of()["authorization"]
    foreign = f"Bearer dg_{'x' * 43}"
    for header in (
        b"",
        b"Bearer",
        foreign,
        f"{key}x",
        key.removeprefix("Bearer "),
        "Bearer dg_é".encode(),
        b"Bearer \xff\xfe",
        b"Bearer " + b"x" * 60_000,
        f"{foreign}, {key}",
    ):
        refused = guard.get("/v1/jobs", headers={"authorization": header})
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
    twice = [("authorization", foreign), ("authorization", key)]
    assert guard.get("/v1/jobs", headers=twice).status_code == 401
    assert guard.get("/v1/jobs", headers={"authorization": key}).status_code == 200


def test_a_revoked_last_key_leaves_the_door_locked(guard_of, key_of, stored):
    key = key_of("admin")
    (made,) = stored.list_keys(limit=10).api_keys
    stored.revoke(made.id)
    for headers in ({}, key):
        refused = guard_of().get("/v1/jobs", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")


def test_with_a_stored_key_other_host_names_are_answered(guard_of, key_of):
    headers = key_of("write") | {"host": "driftgate.example", "origin": "https://pages.example"}
    assert guard_of().post("/v1/jobs", headers=headers).status_code == 200


def test_too_many_requests_are_told_when_to_come_back(guard_of, key_of):
    guard = guard_of()
    slow, other = key_of(max_requests_per_minute=2), key_of(max_requests_per_minute=2)
    assert guard.get("/v1/jobs", headers=slow).status_code == 200
    refused = guard.get("/v1/jobs", headers=slow)
    assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED")
    # One token in 30 s, less what has passed since.
    assert 20 <= int(refused.headers["retry-after"]) <= 30
    assert guard.get("/v1/jobs", headers=other).status_code == 200


def test_keys_of_the_settings_have_the_settings_limits(guard_of):
    key_hash = hashlib.sha256(KEY.encode()).hexdigest()
    guard = guard_of(api_key_sha256=(key_hash,), max_requests_per_minute_per_key=12)
    right = {"authorization": f"Bearer {KEY}"}
    answers = [guard.get("/v1/jobs", headers=right).status_code for _ in range(3)]
    assert answers == [200, 200, 429]


def test_without_keys_there_is_no_limit(guard_of):
    guard = guard_of(max_requests_per_minute_per_key=1)
    assert {guard.get("/v1/jobs").status_code for _ in range(50)} == {200}


def test_a_database_that_does_not_answer_lets_nobody_in(guard_of, unused_port):
    guard = guard_of(database_url=f"postgresql://nobody@127.0.0.1:{unused_port}/nothing")
    refused = guard.get("/v1/jobs")
    assert (refused.status_code, refused.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert guard.get("/healthz").status_code == 200


def test_the_jobs_of_a_key_count_against_its_quota(api, key_of, spec):
    narrow, other = key_of(max_queued_jobs=1), key_of()
    assert api.post("/v1/jobs", json=spec, headers=narrow).status_code == 201
    refused = api.post("/v1/jobs", json=spec, headers=narrow)
    assert (refused.status_code, refused.json()["code"]) == (429, "QUOTA_EXCEEDED")
    assert refused.headers["retry-after"] == "5"
    assert api.post("/v1/jobs", json=spec, headers=other).status_code == 201


def test_two_keys_may_use_the_same_idempotency_key(api, key_of, spec):
    one, other = ({"idempotency-key": "nightly"} | key_of() for _ in range(2))
    first, again, foreign = (
        api.post("/v1/jobs", json=spec, headers=headers).json()["id"]
        for headers in (one, one, other)
    )
    assert first == again != foreign
