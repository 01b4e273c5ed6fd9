"""What can be asked of webhooks: registered, changed, tried, and what was delivered to them."""

from service.argument_checks import check_range
from service.jobs.webhooks import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryState,
    NewWebhook,
    TrialEventType,
    Webhook,
    WebhookEventType,
    WebhookPage,
    WebhookPatch,
    WebhookSpec,
)
from service.storage.webhook_store import WebhookStore
from service.webhook_targets import parse_target

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000


class WebhookOperations:
    """Every error is a DriftgateError. Threads may share one.

    allow_private: whether webhooks may go to private addresses and by plain http.
    """

    def __init__(self, *, webhook_store: WebhookStore, allow_private: bool) -> None:
        self._webhook_store = webhook_store
        self._allow_private = allow_private

    def create(self, spec: WebhookSpec) -> NewWebhook:
        """A webhook with its secret. Raises INVALID_ARGUMENT, WEBHOOK_TARGET_FORBIDDEN, QUOTA_EXCEEDED.

        Whether the url's name is of a private address is known only when something is sent.
        """
        parse_target(spec.url, allow_private=self._allow_private)
        return self._webhook_store.create(spec)

    def get(self, webhook_id: str) -> Webhook:
        return self._webhook_store.get(webhook_id)

    def list_webhooks(
        self, *, limit: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
    ) -> WebhookPage:
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self._webhook_store.list_webhooks(limit=limit, token=page_token)

    def update(self, webhook_id: str, patch: WebhookPatch) -> Webhook:
        """Raises what `create` raises for a url."""
        if patch.url is not None:
            parse_target(patch.url, allow_private=self._allow_private)
        named = patch.model_dump(mode="json", include=patch.model_fields_set)
        changes = {
            name: value
            for name, value in named.items()
            if value is not None or name == "description"
        }
        return self._webhook_store.update(webhook_id, changes)

    def delete(self, webhook_id: str) -> None:
        self._webhook_store.delete(webhook_id)

    def rotate_secret(self, webhook_id: str) -> NewWebhook:
        return self._webhook_store.rotate_secret(webhook_id)

    def test(self, webhook_id: str) -> Delivery:
        """A `webhook.test`, sent soon; its delivery tells how it went."""
        return self._webhook_store.add_trial(webhook_id)

    def list_deliveries(
        self,
        webhook_id: str,
        *,
        limit: int = DEFAULT_PAGE_SIZE,
        page_token: str | None = None,
        state: DeliveryState | None = None,
        event_type: WebhookEventType | TrialEventType | None = None,
        job_id: str | None = None,
    ) -> DeliveryPage:
        """Newest first; each of the last three narrows the list."""
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self._webhook_store.deliveries(
            webhook_id,
            limit=limit,
            token=page_token,
            state=state,
            event_type=event_type,
            job_id=job_id,
        )

    def get_delivery(self, webhook_id: str, delivery_id: str) -> DeliveryDetail:
        return self._webhook_store.delivery(webhook_id, delivery_id)

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        return self._webhook_store.redeliver(webhook_id, delivery_id)
