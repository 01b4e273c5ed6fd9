"""What a scrape finds: of the service, of the process, and while the database is away."""

import re
import threading
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families

from service import api_keys
from service.jobs.api_keys import ApiKeyRequest
from service.rest import prometheus
from service.rest.app import create_app
from service.storage.api_key_store import ApiKeyStore
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from tests.postgres_outage import postgres_outage
from tests.service.studies.played_runs import STUDY

REQUESTS = "driftgate_http_requests_total"
OF_THE_SERVICE = {
    "driftgate_jobs",
    "driftgate_oldest_queued_job_age_seconds",
    "driftgate_expired_leases",
    "driftgate_workers",
    "driftgate_workers_aside",
    "driftgate_webhook_deliveries_pending",
    "driftgate_webhook_deliveries_due",
    "driftgate_studies",
}
PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"


def families(api, **options):
    answer = api.get("/metrics", **options)
    assert answer.status_code == 200, answer.text
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def values(api, **options):
    """By the name of a sample and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(api, **options).values()
        for sample in family.samples
    }


def requests(api):
    return {key[1:]: value for key, value in values(api).items() if key[0] == REQUESTS}


@pytest.fixture
def stores(settings):
    database = Database(settings.resolved_database_url())
    yield JobStore(database), ApiKeyStore(database)
    database.close()


def test_a_scrape_is_prometheus_text_that_nobody_keeps(api):
    answer = api.get("/metrics")
    assert answer.headers["content-type"] == CONTENT_TYPE_LATEST
    assert answer.headers["cache-control"] == "no-store"
    of_service = {name: each for name, each in families(api).items() if "driftgate" in name}
    assert of_service.keys() > OF_THE_SERVICE
    assert all(family.documentation.endswith(".") for family in of_service.values())
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= (
        families(api).keys()
    )


def test_the_figures_of_the_service_are_those_of_the_database(api, stores, spec):
    jobs, _keys = stores
    api.post("/v1/webhooks", json={"url": "https://hooks.example.org"})
    for _ in range(4):
        api.post("/v1/jobs", json=spec)
    jobs.start_running(jobs.claim(queue="default", owner="a", lease_s=60).lease)
    jobs.claim(queue="default", owner="b", lease_s=-1)
    cancelled = jobs.list_jobs(limit=1).jobs[0].id
    api.post(f"/v1/jobs/{cancelled}:cancel")
    found = values(api)
    assert found["driftgate_database_up",] == 1
    by_state = {key[1]: value for key, value in found.items() if key[0] == "driftgate_jobs"}
    assert by_state == {
        "queued": 1,
        "starting": 1,
        "running": 1,
        "pausing": 0,
        "paused": 0,
        "cancelling": 0,
    }
    assert 0 < found["driftgate_oldest_queued_job_age_seconds",] < 120
    assert found["driftgate_expired_leases",] == 1
    # Four times queued, once running, once cancelled.
    assert found["driftgate_webhook_deliveries_pending",] == 6
    assert found["driftgate_webhook_deliveries_due",] == 6
    api.post("/v1/studies", json=STUDY)
    assert values(api)["driftgate_studies", "running"] == 1


def test_head_counts_at_the_address_that_answers_it(api):
    api.head("/v1/jobs")
    assert requests(api)["HEAD", "/v1/jobs", "2xx"] == 1


def test_requests_count_by_method_template_and_status(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    path = f"/v1/jobs/{job['id']}"
    etag = api.get(path).headers["etag"]
    api.get(path, headers={"if-none-match": etag})
    api.get(path, headers={"if-none-match": etag, "prefer": "wait=0"})  # by the endpoint
    api.post("/v1/jobs", json={})
    api.post("/v1/jobs?validate_only=true", json=spec)
    api.get("/")
    api.get("/static/main.js")
    api.get("/openapi.json")
    assert requests(api) == {
        ("POST", "/v1/jobs", "2xx"): 2,
        ("POST", "/v1/jobs", "4xx"): 1,
        ("GET", "/v1/jobs/{job_id}", "2xx"): 1,
        ("GET", "/v1/jobs/{job_id}", "3xx"): 2,
        ("GET", "/", "2xx"): 1,
        ("GET", "/static/{path}", "2xx"): 1,
        ("GET", "/openapi.json", "2xx"): 1,
    }
    assert requests(api)["GET", "/metrics", "2xx"] == 1
    count = values(api)["driftgate_http_request_duration_seconds_count", "POST", "/v1/jobs"]
    assert count == 3


def test_addresses_that_there_are_not_are_one_route(api):
    for number in range(50):
        assert api.get(f"/random/{number}").status_code == 404
    assert api.get("/v1/jobs", headers={"host": "evil.example"}).status_code == 403
    assert requests(api) == {("GET", "unmatched", "4xx"): 51}


def test_a_defect_counts_as_one(api, monkeypatch):
    monkeypatch.setattr(api.app.state.operations, "list_models", None)
    assert api.get("/v1/models").status_code == 500
    assert requests(api) == {("GET", "/v1/models", "5xx"): 1}


def test_streams_that_are_open_and_connections_in_use_are_counted(api, spec):
    operations = api.app.state.operations
    caller = operations.authenticator.authenticate(None)
    stream = operations.limits.stream
    with stream(caller), stream(caller), operations._database.read() as session:
        session.connection()
        found = values(api)
    assert found["driftgate_open_streams",] == 2
    assert found["driftgate_database_connections_in_use",] == 1
    found = values(api)
    assert found["driftgate_open_streams",] == found["driftgate_database_connections_in_use",] == 0


def test_two_applications_of_one_process_count_apart(api, settings, client_of):
    with client_of(settings) as other:
        api.get("/healthz")
        assert requests(other) == {}
        assert requests(api) == {("GET", "/healthz", "2xx"): 1}


def test_a_key_to_read_suffices_and_none_does_not(api, stores):
    _jobs, keys = stores
    key = keys.create(ApiKeyRequest(name="prometheus", scope="read")).key
    api.app.state.operations.authenticator.forget()
    refused = api.get("/metrics")
    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
    headers = {"authorization": f"Bearer {key}"}
    assert values(api, headers=headers)["driftgate_database_up",] == 1
    assert api.head("/metrics", headers=headers).status_code == 200


def test_a_scrape_tells_that_the_database_is_away_and_when_it_is_back(
    settings_factory, postgres_url, postgres_server, client_of, monkeypatch
):
    # What is known of a key grows old at once, as it does in an outage of more than seconds.
    monkeypatch.setattr(api_keys, "CACHE_S", 0.0)
    database = Database(postgres_url)
    keys = ApiKeyStore(database)
    known, unknown = (
        {"authorization": f"Bearer {keys.create(ApiKeyRequest(name=name, scope='read')).key}"}
        for name in ("prometheus", "another")
    )
    database.close()
    with client_of(settings_factory(database_url=postgres_url)) as api:
        assert values(api, headers=known)["driftgate_database_up",] == 1
        with postgres_outage(postgres_server, postgres_url):
            found = families(api, headers=known)
            refused = api.get("/metrics", headers=unknown)
            elsewhere = api.get("/v1/presets", headers=known)  # which needs no database
        assert found["driftgate_database_up"].samples[0].value == 0
        assert not found.keys() & OF_THE_SERVICE
        assert {"driftgate_http_requests", "process_cpu_seconds"} <= found.keys()
        assert (refused.status_code, elsewhere.status_code) == (503, 503)
        assert values(api, headers=known)["driftgate_database_up",] == 1


def test_a_database_that_hangs_keeps_one_thread_and_no_scrape(
    settings_factory, postgres_url, client_of, monkeypatch, wait_until
):
    monkeypatch.setattr(prometheus, "DATABASE_PATIENCE_S", 0.2)
    with client_of(settings_factory(database_url=postgres_url)) as api:
        in_use = ("driftgate_database_connections_in_use",)
        api.get("/metrics")
        with psycopg.connect(postgres_url) as connection:
            connection.execute("LOCK TABLE studies IN ACCESS EXCLUSIVE MODE")
            for _ in range(3):
                found = values(api)
                assert (found["driftgate_database_up",], found[in_use]) == (0, 1)
        wait_until(lambda: values(api)["driftgate_database_up",] == 1)
        assert values(api)[in_use] == 0


def test_scrapes_that_come_together_are_all_answered(api):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(api.get("/metrics").status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8


def test_the_description_has_the_address_and_its_type(api):
    operation = create_app(api.app.state.operations._settings).openapi()["paths"]["/metrics"]["get"]
    assert operation["responses"]["200"]["content"].keys() == {"text/plain"}


def test_the_page_on_monitoring_names_what_a_scrape_has(api):
    api.get("/healthz")
    found = {name for name in families(api) if name.startswith("driftgate_")}
    rows = re.findall(
        r"^\| `(driftgate_\w+?)(?:_total)?[`{]", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert sorted(rows) == sorted(found)
