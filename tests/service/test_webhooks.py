import pytest
from pydantic import ValidationError

from service.errors import DriftgateError, ErrorCode
from service.jobs.webhooks import WebhookEventType, WebhookPatch, WebhookSpec
from service.operations import build_operations
from service.storage.sessions import Database
from service.storage.webhook_store import WebhookStore
from service.webhooks import MAX_PAGE_SIZE, WebhookOperations

URL = "https://hooks.example.org/driftgate"


@pytest.fixture
def operations_of(sqlite_url):
    database = Database(sqlite_url)

    def make(*, allow_private):
        return WebhookOperations(webhook_store=WebhookStore(database), allow_private=allow_private)

    yield make
    database.close()


@pytest.fixture
def operations(operations_of):
    return operations_of(allow_private=False)


def assert_refused(code, call):
    with pytest.raises(DriftgateError) as caught:
        call()
    assert caught.value.code is code


def test_without_event_types_a_webhook_is_told_of_all(operations):
    webhook = operations.create(WebhookSpec(url=URL))
    assert webhook.event_types == tuple(WebhookEventType)
    assert operations.list_webhooks().webhooks == (operations.get(webhook.id),)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "https://hooks.example.org/\x00"},
        {"url": "https://hooks.example.org/\udcff"},
        {"url": "https://hööks.example.org/"},
        {"url": "https://hooks.example.org/#part"},
        {"url": "https://hooks.example.org\\@10.0.0.1/"},
        {"url": "file:///etc/passwd"},
        {"url": "https://hooks.example.org/" + "a" * 2000},
        {"url": URL, "description": "a\x00b"},
        {"url": URL, "description": "a" * 201},
        {"url": URL, "event_types": []},
        {"url": URL, "event_types": ["webhook.test"]},
        {"url": URL, "event_types": ["job.failed"] * 51},
        {"url": URL, "secret": "whsec_mine"},
    ],
)
def test_fields_that_break_the_contract_are_refused(fields):
    with pytest.raises(ValidationError):
        WebhookSpec.model_validate(fields)


def test_private_targets_are_refused_unless_the_settings_allow_them(operations, operations_of):
    spec = WebhookSpec(url="http://127.0.0.1:9000/hook")
    assert_refused(ErrorCode.WEBHOOK_TARGET_FORBIDDEN, lambda: operations.create(spec))
    assert operations.list_webhooks().webhooks == ()
    assert operations_of(allow_private=True).create(spec).url == spec.url


def test_a_webhook_cannot_be_moved_to_a_private_target(operations):
    webhook = operations.create(WebhookSpec(url=URL))
    patch = WebhookPatch(url="https://10.0.0.1/")
    assert_refused(ErrorCode.WEBHOOK_TARGET_FORBIDDEN, lambda: operations.update(webhook.id, patch))
    assert operations.get(webhook.id).url == URL


def test_a_patch_changes_what_it_names_and_null_removes_the_description(operations):
    webhook = operations.create(WebhookSpec(url=URL, description="CI"))
    changed = operations.update(
        webhook.id, WebhookPatch(event_types=("job.failed",), enabled=None, url=None)
    )
    assert (changed.url, changed.description, changed.enabled) == (URL, "CI", True)
    assert changed.event_types == (WebhookEventType.FAILED,)
    changed = operations.update(webhook.id, WebhookPatch(description=None, enabled=False))
    assert (changed.description, changed.enabled) == (None, False)


def test_a_trial_is_logged_and_can_be_sent_again(operations):
    webhook = operations.create(WebhookSpec(url=URL))
    trial = operations.test(webhook.id)
    assert (trial.event_type, trial.job_id) == ("webhook.test", None)
    detail = operations.get_delivery(webhook.id, trial.id)
    assert (detail.payload["data"], detail.attempts) == ({"webhook_id": webhook.id}, ())
    assert operations.redeliver(webhook.id, trial.id).id == trial.id
    assert [one.id for one in operations.list_deliveries(webhook.id).deliveries] == [trial.id]


def test_a_deleted_webhook_takes_its_log_with_it(operations):
    webhook = operations.create(WebhookSpec(url=URL))
    trial = operations.test(webhook.id)
    operations.delete(webhook.id)
    assert_refused(
        ErrorCode.RESOURCE_NOT_FOUND, lambda: operations.get_delivery(webhook.id, trial.id)
    )


@pytest.mark.parametrize("page_size", [0, MAX_PAGE_SIZE + 1, 2**63])
def test_pages_have_bounds(operations, page_size):
    assert_refused(ErrorCode.INVALID_ARGUMENT, lambda: operations.list_webhooks(limit=page_size))
    assert_refused(
        ErrorCode.INVALID_ARGUMENT, lambda: operations.list_deliveries("a", limit=page_size)
    )


def test_both_transports_find_them_among_the_operations(settings_factory, sqlite_url, redis_url):
    settings = settings_factory(database_url=sqlite_url, broker_url=redis_url)
    operations = build_operations(settings)
    webhook = operations.webhooks.create(WebhookSpec(url=URL))
    rotated = operations.webhooks.rotate_secret(webhook.id)
    operations.close()
    assert rotated.secret != webhook.secret
