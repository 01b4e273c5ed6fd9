import pytest

from service.errors import DriftgateError
from service.jobs.webhooks import WebhookSpec


def test_webhooks_are_made_changed_tried_and_deleted(rest_client):
    made = rest_client.create_webhook(WebhookSpec(url="http://127.0.0.1:9/hook", description="CI"))
    assert made.secret.startswith("whsec_")
    (listed,) = rest_client.webhooks().webhooks
    assert listed == rest_client.webhook(made.id)
    assert rest_client.patch_webhook(made.id, {"description": None}).description is None
    assert rest_client.rotate_webhook_secret(made.id).secret != made.secret
    trial = rest_client.test_webhook(made.id)
    assert rest_client.webhook_deliveries(made.id).deliveries == (trial,)
    assert rest_client.webhook_delivery(made.id, trial.id).payload["type"] == "webhook.test"
    rest_client.delete_webhook(made.id)
    with pytest.raises(DriftgateError, match="RESOURCE_NOT_FOUND"):
        rest_client.webhook(made.id)
