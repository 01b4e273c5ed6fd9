import pytest

from service.rpc.generated.driftgate.v1 import webhooks_pb2 as pb
from tests.service.rpc.refusals import refusal_by_grpc

URL = "https://hooks.example.com/driftgate"


@pytest.fixture
def webhook(stubs):
    request = pb.CreateWebhookRequest(url=URL, description="CI", event_types=["job.failed"])
    return stubs.webhooks.CreateWebhook(request).webhook


def test_a_webhook_is_registered_with_its_secret_and_read_without(stubs, webhook):
    assert webhook.secret.startswith("whsec_")
    assert (webhook.url, list(webhook.event_types), webhook.enabled) == (URL, ["job.failed"], True)

    of_webhook = {"webhook_id": webhook.id}
    read = stubs.webhooks.GetWebhook(pb.GetWebhookRequest(**of_webhook)).webhook

    assert (read.id, read.description, read.created_at) == (webhook.id, "CI", webhook.created_at)
    assert list(stubs.webhooks.ListWebhooks(pb.ListWebhooksRequest()).webhooks) == [read]
    rotated = stubs.webhooks.RotateWebhookSecret(pb.RotateWebhookSecretRequest(**of_webhook))
    assert rotated.webhook.secret != webhook.secret
    assert rotated.webhook.HasField("earlier_secret_until")
    stubs.webhooks.DeleteWebhook(pb.DeleteWebhookRequest(**of_webhook))
    assert not stubs.webhooks.ListWebhooks(pb.ListWebhooksRequest()).webhooks


def test_only_what_is_set_of_a_webhook_changes(stubs, webhook):
    def update(**fields):
        request = pb.UpdateWebhookRequest(webhook_id=webhook.id, **fields)
        return stubs.webhooks.UpdateWebhook(request).webhook

    changed = update(enabled=False, event_types=["job.queued", "job.running"])
    assert (changed.url, changed.description, changed.enabled) == (URL, "CI", False)
    assert list(changed.event_types) == ["job.queued", "job.running"]
    assert not update(remove_description=True).HasField("description")
    assert update(description="").HasField("description")
    _, refusal = refusal_by_grpc(lambda: update(description="x", remove_description=True))
    assert refusal.fields == ["remove_description"]


def test_a_test_is_a_delivery_with_its_body_and_may_be_asked_for_again(stubs, webhook):
    delivery = stubs.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=webhook.id)).delivery

    assert (delivery.event_type, delivery.state) == ("webhook.test", pb.DELIVERY_STATE_PENDING)
    assert not delivery.HasField("job_id")
    of_delivery = {"webhook_id": webhook.id, "delivery_id": delivery.id}
    detail = stubs.webhooks.GetWebhookDelivery(pb.GetWebhookDeliveryRequest(**of_delivery)).delivery
    assert detail.payload["type"] == "webhook.test"
    assert detail.payload["data"]["webhook_id"] == webhook.id
    again = stubs.webhooks.RedeliverWebhookDelivery(
        pb.RedeliverWebhookDeliveryRequest(**of_delivery)
    ).delivery
    assert (again.id, again.state) == (delivery.id, pb.DELIVERY_STATE_PENDING)


@pytest.mark.parametrize(
    ("filters", "num_found"),
    [
        ({}, 1),
        ({"state": pb.DELIVERY_STATE_PENDING, "event_type": "webhook.test"}, 1),
        ({"state": pb.DELIVERY_STATE_FAILED}, 0),
        ({"event_type": "job.failed"}, 0),
        ({"job_id": "0" * 32}, 0),
    ],
)
def test_deliveries_are_listed_by_what_is_asked_for(stubs, webhook, filters, num_found):
    stubs.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=webhook.id))

    request = pb.ListWebhookDeliveriesRequest(webhook_id=webhook.id, **filters)
    answer = stubs.webhooks.ListWebhookDeliveries(request)

    assert (len(answer.deliveries), answer.webhook_id) == (num_found, webhook.id)


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"event_type": "job.gone"}, "event_type"),
        ({"state": 9}, "state"),
        ({"page_size": 1001}, "page_size"),
    ],
)
def test_a_filter_that_is_none_is_refused(stubs, webhook, filters, field):
    request = pb.ListWebhookDeliveriesRequest(webhook_id=webhook.id, **filters)

    _, refusal = refusal_by_grpc(lambda: stubs.webhooks.ListWebhookDeliveries(request))

    assert (refusal.code, refusal.fields) == ("INVALID_ARGUMENT", [field])
