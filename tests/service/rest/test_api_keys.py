import json
import re

import pytest

from service.jobs.api_keys import ApiKeyRequest
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database

KEYS = "/v1/api-keys"


@pytest.fixture
def first_key(sqlite_url):
    """Of an admin, made on the server."""
    database = Database(sqlite_url)
    yield ApiKeyStore(database).create(ApiKeyRequest(name="the first", scope="admin"))
    database.close()


@pytest.fixture
def admin(api, first_key):
    api.headers["authorization"] = f"Bearer {first_key.key}"
    return api


def status_with(api, key) -> int:
    return api.get("/v1/jobs", headers={"authorization": f"Bearer {key}"}).status_code


def test_a_key_is_shown_once_works_and_is_never_listed(admin):
    created = admin.post(KEYS, json={"name": "a pipeline", "scope": "write"})
    assert created.status_code == 201
    assert created.headers["cache-control"] == "no-store"
    key, shown = created.json()["key"], created.json()["api_key"]
    assert re.fullmatch(r"dg_[A-Za-z0-9_\-]{43}", key)
    assert created.headers["location"] == f"{KEYS}/{shown['id']}"
    assert status_with(admin, key) == 200

    listed = admin.get(KEYS)
    one = admin.get(created.headers["location"])
    assert [entry["name"] for entry in listed.json()["api_keys"]] == ["a pipeline", "the first"]
    assert one.json() | {"last_used_at": None} == shown
    assert key not in listed.text + one.text
    assert one.json()["key_start"] == key[:12]


def test_the_first_key_is_not_made_over_the_network(api):
    refused = api.post(KEYS, json={"name": "mine", "scope": "admin"})
    assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
    assert "driftgate keys create" in refused.json()["detail"]
    assert api.get(KEYS).json() == {"api_keys": [], "next_page_token": None}


def test_pages_of_keys_follow_each_other(admin):
    for number in range(2):
        admin.post(KEYS, json={"name": str(number), "scope": "read"})
    first = admin.get(KEYS, params={"page_size": 2}).json()
    second = admin.get(KEYS, params={"page_size": 2, "page_token": first["next_page_token"]}).json()
    names = [entry["name"] for page in (first, second) for entry in page["api_keys"]]
    assert names == ["1", "0", "the first"]
    assert second["next_page_token"] is None


def test_a_revoked_key_is_refused_at_once_and_revoking_again_changes_nothing(admin):
    created = admin.post(KEYS, json={"name": "a", "scope": "read"}).json()
    address = f"{KEYS}/{created['api_key']['id']}"
    assert status_with(admin, created["key"]) == 200
    assert admin.delete(address).status_code == 204
    assert status_with(admin, created["key"]) == 401
    revoked_at = admin.get(address).json()["revoked_at"]
    assert admin.delete(address).status_code == 204
    assert admin.get(address).json()["revoked_at"] == revoked_at is not None


def test_an_admin_who_revokes_the_last_key_is_locked_out_too(admin, first_key):
    assert admin.delete(f"{KEYS}/{first_key.api_key.id}").status_code == 204
    assert admin.get("/v1/jobs").status_code == 401
    assert admin.get("/v1/jobs", headers={"authorization": ""}).status_code == 401


def test_rotation_replaces_a_key_at_once_or_after_its_grace(admin):
    earlier = admin.post(KEYS, json={"name": "a", "scope": "read", "max_streams": 2}).json()
    address = f"{KEYS}/{earlier['api_key']['id']}:rotate"
    rotated = admin.post(address, json={"grace_s": 60})
    assert (rotated.status_code, rotated.headers["cache-control"]) == (200, "no-store")
    later = rotated.json()
    assert later["api_key"]["id"] != earlier["api_key"]["id"] == later["api_key"]["caller_id"]
    assert (later["api_key"]["scope"], later["api_key"]["max_streams"]) == ("read", 2)
    assert [status_with(admin, each["key"]) for each in (earlier, later)] == [200, 200]

    latest = admin.post(address).json()  # without a body: at once
    answers = [status_with(admin, each["key"]) for each in (earlier, later, latest)]
    assert answers == [401, 200, 200]
    refused = admin.post(address)
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")


def test_a_field_that_is_not_allowed_is_named(admin):
    for field, value in [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\x00b"),
        ("name", "\ud800"),
        ("name", None),
        ("scope", "root"),
        ("expires_in_days", 0),
        ("expires_in_days", 10**30),
        ("expires_at", "2020-01-01T00:00:00Z"),
        ("expires_at", "2030-01-01T00:00:00"),
        ("expires_at", 10**30),
        ("max_queued_jobs", 0),
        ("max_requests_per_minute", 2**63),
        ("max_streams", -1),
        ("key", "dg_mine"),
    ]:
        body = {"name": "a", "scope": "read"} | {field: value}
        refused = admin.post(
            KEYS,
            content=json.dumps(body),  # httpx would refuse half of a surrogate pair itself
            headers={"content-type": "application/json"},
        )
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")
        assert refused.json()["violations"][0]["field"] == field
    assert len(admin.get(KEYS).json()["api_keys"]) == 1


def test_two_expiries_are_one_too_many(admin):
    body = {"name": "a", "expires_in_days": 1, "expires_at": "2030-01-01T00:00:00Z"}
    refused = admin.post(KEYS, json=body)
    assert (refused.status_code, refused.json()["violations"][0]["field"]) == (
        400,
        "expires_in_days",
    )


def test_a_grace_is_some_seconds_up_to_thirty_days(admin, first_key):
    for grace_s in (-1, 10**9, "soon", 1.5):
        refused = admin.post(f"{KEYS}/{first_key.api_key.id}:rotate", json={"grace_s": grace_s})
        assert (refused.status_code, refused.json()["violations"][0]["field"]) == (400, "grace_s")
    assert admin.get(KEYS).status_code == 200


def test_a_key_that_is_not_there_is_not_found(admin):
    for key_id in ("0" * 32, "x", "%00", "%ff", "dg_" + "x" * 43):
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", ":rotate")):
            refused = admin.request(method, f"{KEYS}/{key_id}{path}")
            assert (refused.status_code, refused.json()["code"]) == (404, "RESOURCE_NOT_FOUND")


def test_every_key_may_ask_what_it_is(admin):
    body = {"name": "a", "scope": "read", "max_streams": 2}
    created = admin.post(KEYS, json=body).json()
    own = {"authorization": f"Bearer {created['key']}"}
    assert admin.get(f"{KEYS}:current", headers=own).json() == {
        "caller_id": created["api_key"]["id"],
        "scope": "read",
        "max_queued_jobs": 1000,
        "max_requests_per_minute": 6000,
        "max_streams": 2,
    }


def test_the_description_of_the_api_names_the_bearer_key(api):
    document = api.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert document["security"] == [{"apiKey": []}, {}]
