"""Webhooks and the log of their deliveries, for clients whose key is an admin's."""

from collections.abc import Mapping

from service.client_http import Connection, read, segment
from service.jobs.webhooks import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryState,
    NewWebhook,
    Webhook,
    WebhookPage,
    WebhookSpec,
)

WEBHOOKS = "v1/webhooks"


class WebhookCalls(Connection):
    """What makes, rotates, tries or delivers is never repeated: each arrival would do it once more."""

    def create_webhook(self, webhook: WebhookSpec) -> NewWebhook:
        """With its secret, shown this once."""
        request = self._request("POST", WEBHOOKS, json=webhook.model_dump(mode="json"))
        return read(self._once(request), NewWebhook)

    def webhooks(
        self, *, page_size: int | None = None, page_token: str | None = None
    ) -> WebhookPage:
        """One page, newest first."""
        return self._get(WEBHOOKS, WebhookPage, page_size=page_size, page_token=page_token)

    def webhook(self, webhook_id: str) -> Webhook:
        return self._get(_path(webhook_id), Webhook)

    def patch_webhook(self, webhook_id: str, changes: Mapping[str, object]) -> Webhook:
        """changes: fields of `WebhookPatch`; what is not named stays, and None removes the description."""
        request = self._request("PATCH", _path(webhook_id), json=dict(changes))
        return read(self._repeat(request), Webhook)

    def delete_webhook(self, webhook_id: str) -> None:
        """With the log of its deliveries."""
        self._repeat(self._request("DELETE", _path(webhook_id)))

    def rotate_webhook_secret(self, webhook_id: str) -> NewWebhook:
        """With its new secret, shown this once."""
        return read(
            self._once(self._request("POST", _path(webhook_id, ":rotateSecret"))), NewWebhook
        )

    def test_webhook(self, webhook_id: str) -> Delivery:
        """A trial event, not sent yet; `webhook_delivery` tells how it went."""
        return read(self._once(self._request("POST", _path(webhook_id, ":test"))), Delivery)

    def webhook_deliveries(
        self,
        webhook_id: str,
        *,
        state: DeliveryState | None = None,
        event_type: str | None = None,
        job_id: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> DeliveryPage:
        """One page, newest first; `state`, `event_type` and `job_id` narrow it."""
        return self._get(
            _path(webhook_id, "/deliveries"),
            DeliveryPage,
            state=state,
            event_type=event_type,
            job_id=job_id,
            page_size=page_size,
            page_token=page_token,
        )

    def webhook_delivery(self, webhook_id: str, delivery_id: str) -> DeliveryDetail:
        """With its body and its attempts."""
        return self._get(_path(webhook_id, f"/deliveries/{segment(delivery_id)}"), DeliveryDetail)

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """The delivery, to be sent once more under the same id."""
        path = _path(webhook_id, f"/deliveries/{segment(delivery_id)}:redeliver")
        return read(self._once(self._request("POST", path)), Delivery)


def _path(webhook_id: str, part: str = "") -> str:
    return f"{WEBHOOKS}/{segment(webhook_id)}{part}"
