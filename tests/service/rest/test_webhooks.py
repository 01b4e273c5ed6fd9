import pytest
from fastapi.openapi.utils import get_openapi

from service.jobs.webhooks import WebhookEventType
from service.rest import webhooks
from service.storage.sessions import Database
from service.storage.webhook_queue import AttemptEnd, WebhookQueue

URL = "https://hooks.example.org/driftgate"


@pytest.fixture
def register(api):
    def make(**fields):
        answer = api.post("/v1/webhooks", json={"url": URL} | fields)
        assert answer.status_code == 201
        return answer.json()

    return make


def assert_problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_secret_is_in_two_answers_and_in_no_other(api):
    created = api.post("/v1/webhooks", json={"url": URL, "description": "CI"})
    webhook = created.json()
    assert created.headers["location"] == f"/v1/webhooks/{webhook['id']}"
    assert created.headers["cache-control"] == "no-store"
    assert webhook.pop("secret").startswith("whsec_")
    assert webhook.pop("earlier_secret_until") is None
    assert api.get(created.headers["location"]).json() == webhook
    assert api.get("/v1/webhooks").json() == {"webhooks": [webhook], "next_page_token": None}
    rotated = api.post(f"/v1/webhooks/{webhook['id']}:rotateSecret")
    assert rotated.headers["cache-control"] == "no-store"
    assert rotated.json()["secret"].startswith("whsec_")
    assert rotated.json()["earlier_secret_until"] is not None


def test_a_webhook_is_changed_and_deleted(api, register):
    address = f"/v1/webhooks/{register(description='CI')['id']}"
    changed = api.patch(address, json={"enabled": False, "description": None})
    assert changed.status_code == 200
    assert (changed.json()["enabled"], changed.json()["description"]) == (False, None)
    assert_problem(api.post(f"{address}:test"), 400, "INVALID_ARGUMENT")
    assert api.delete(address).status_code == 204
    assert_problem(api.get(address), 404, "RESOURCE_NOT_FOUND")
    assert_problem(api.delete(address), 404, "RESOURCE_NOT_FOUND")


def test_a_job_is_told_of_and_its_delivery_can_be_read_and_repeated(
    api, register, spec, sqlite_url
):
    webhook_id = register(event_types=["job.queued"])["id"]
    job = api.post("/v1/jobs", json=spec).json()
    log = f"/v1/webhooks/{webhook_id}/deliveries"
    (delivery,) = api.get(log, params={"state": "pending", "job_id": job["id"]}).json()[
        "deliveries"
    ]
    database = Database(sqlite_url)
    queue = WebhookQueue(database)
    (due,) = queue.claim(webhook_id, limit=1, lease_s=60)
    queue.give_up(due, AttemptEnd(http_status=500, error="answered 500", seconds=0.5))
    database.close()
    detail = api.get(f"{log}/{delivery['id']}").json()
    assert detail["payload"]["data"]["job_id"] == job["id"]
    assert (detail["state"], detail["attempts"][0]["error"]) == ("failed", "answered 500")
    again = api.post(f"{log}/{delivery['id']}:redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert again.headers["location"] == f"{log}/{delivery['id']}"


def test_a_trial_is_accepted_with_the_address_of_its_delivery(api, register):
    webhook_id = register()["id"]
    tried = api.post(f"/v1/webhooks/{webhook_id}:test")
    assert tried.status_code == 202
    assert api.get(tried.headers["location"]).json()["event_type"] == "webhook.test"
    page = api.get(f"/v1/webhooks/{webhook_id}/deliveries", params={"event_type": "webhook.test"})
    assert [one["id"] for one in page.json()["deliveries"]] == [tried.json()["id"]]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "INVALID_ARGUMENT", "url"),
        ({"url": 7}, 400, "INVALID_ARGUMENT", "url"),
        ({"url": "https://hooks.example.org/\x00"}, 400, "INVALID_ARGUMENT", "url"),
        ({"url": URL, "event_types": ["job.exploded"]}, 400, "INVALID_ARGUMENT", None),
        ({"url": URL, "colour": "red"}, 400, "INVALID_ARGUMENT", "colour"),
        ({"url": "https://user:password@hooks.example.org/"}, 400, "INVALID_ARGUMENT", "url"),
        ({"url": "https://169.254.169.254/"}, 422, "WEBHOOK_TARGET_FORBIDDEN", "url"),
        ({"url": "http://hooks.example.org/"}, 422, "WEBHOOK_TARGET_FORBIDDEN", "url"),
        ([], 400, "INVALID_ARGUMENT", None),
    ],
)
def test_bad_webhooks_are_refused_with_the_field(api, body, status, code, field):
    answer = api.post("/v1/webhooks", json=body)
    assert_problem(answer, status, code)
    fields = [one["field"] for one in answer.json()["violations"]]
    assert field is None or fields == [field]
    assert api.get("/v1/webhooks").json()["webhooks"] == []


@pytest.mark.parametrize(
    "parameter",
    ["state=lost", "event_type=job.exploded", "page_size=0", "job_id=%00", "page_token=x"],
)
def test_bad_filters_are_refused(api, register, parameter):
    answer = api.get(f"/v1/webhooks/{register()['id']}/deliveries?{parameter}")
    assert_problem(answer, 400, "INVALID_ARGUMENT")


def test_strange_ids_are_not_found(api, register):
    address = f"/v1/webhooks/{register()['id']}"
    for path in (
        "/v1/webhooks/%00",
        f"{address}/deliveries/%00",
        f"{address}/deliveries/{'0' * 32}",
    ):
        assert_problem(api.get(path), 404, "RESOURCE_NOT_FOUND")


def test_the_description_shows_what_is_sent(api):
    description = api.get("/openapi.json").json()
    moved = description["webhooks"]["job.moved"]["post"]
    assert {one["name"] for one in moved["parameters"]} == {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    schemas = description["components"]["schemas"]
    assert moved["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/JobPayload"
    )
    assert schemas["WebhookEventType"]["enum"] == list(WebhookEventType)
    assert "/job.moved" not in description["paths"]


def test_every_operation_has_its_words():
    paths = get_openapi(title="", version="", routes=webhooks.router.routes)["paths"]
    operations = [operation for item in paths.values() for operation in item.values()]
    assert len(operations) == 10
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
