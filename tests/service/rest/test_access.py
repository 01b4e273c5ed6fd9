import hashlib

import pytest

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
    "host", ["evil.example", "127.0.0.1.evil.example:8400", "", "[", "10.0.0.1"]
)
def test_without_keys_another_host_name_is_refused(open_api, host):
    refused = open_api.get("/v1/jobs", headers={"host": host})
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
