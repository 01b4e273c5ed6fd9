"""WebhookService: receivers that are told when jobs move, and the log of what was delivered to them."""

from service.jobs.access import Caller
from service.jobs.webhooks import (
    TRIAL_EVENT_TYPE,
    DeliveryState,
    TrialEventType,
    WebhookEventType,
    WebhookPatch,
    WebhookSpec,
)
from service.operations import Operations
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import webhooks_pb2 as pb
from service.rpc.requests import choice, choice_of_text, parse_body, require, text_of
from service.webhooks import DEFAULT_PAGE_SIZE


class WebhookService:
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._webhooks = operations.webhooks

    def CreateWebhook(
        self, request: pb.CreateWebhookRequest, _caller: Caller
    ) -> pb.CreateWebhookResponse:
        webhook = self._webhooks.create(parse_body(WebhookSpec, request))
        return pb.CreateWebhookResponse(webhook=view_message(pb.NewWebhook, webhook))

    def GetWebhook(self, request: pb.GetWebhookRequest, _caller: Caller) -> pb.GetWebhookResponse:
        webhook = self._webhooks.get(request.webhook_id)
        return pb.GetWebhookResponse(webhook=view_message(pb.Webhook, webhook))

    def ListWebhooks(
        self, request: pb.ListWebhooksRequest, _caller: Caller
    ) -> pb.ListWebhooksResponse:
        page = self._webhooks.list_webhooks(
            limit=request.page_size or DEFAULT_PAGE_SIZE, page_token=request.page_token or None
        )
        return view_message(pb.ListWebhooksResponse, page)

    def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, _caller: Caller
    ) -> pb.UpdateWebhookResponse:
        removed = {"description": None} if request.remove_description else {}
        require(
            not (removed and request.HasField("description")),
            field="remove_description",
            given="true beside a description",
            allowed="one of the two",
        )
        patch = parse_body(
            WebhookPatch, request, without=("webhook_id", "remove_description"), **removed
        )
        webhook = self._webhooks.update(request.webhook_id, patch)
        return pb.UpdateWebhookResponse(webhook=view_message(pb.Webhook, webhook))

    def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, _caller: Caller
    ) -> pb.DeleteWebhookResponse:
        self._webhooks.delete(request.webhook_id)
        return pb.DeleteWebhookResponse()

    def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, _caller: Caller
    ) -> pb.RotateWebhookSecretResponse:
        webhook = self._webhooks.rotate_secret(request.webhook_id)
        return pb.RotateWebhookSecretResponse(webhook=view_message(pb.NewWebhook, webhook))

    def TestWebhook(
        self, request: pb.TestWebhookRequest, _caller: Caller
    ) -> pb.TestWebhookResponse:
        delivery = self._webhooks.test(request.webhook_id)
        return pb.TestWebhookResponse(delivery=view_message(pb.Delivery, delivery))

    def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, _caller: Caller
    ) -> pb.ListWebhookDeliveriesResponse:
        page = self._webhooks.list_deliveries(
            request.webhook_id,
            limit=request.page_size or DEFAULT_PAGE_SIZE,
            page_token=request.page_token or None,
            state=_state(request),
            event_type=_event_type(request),
            job_id=text_of(request, "job_id"),
        )
        return view_message(pb.ListWebhookDeliveriesResponse, page)

    def GetWebhookDelivery(
        self, request: pb.GetWebhookDeliveryRequest, _caller: Caller
    ) -> pb.GetWebhookDeliveryResponse:
        delivery = self._webhooks.get_delivery(request.webhook_id, request.delivery_id)
        return pb.GetWebhookDeliveryResponse(delivery=view_message(pb.DeliveryDetail, delivery))

    def RedeliverWebhookDelivery(
        self, request: pb.RedeliverWebhookDeliveryRequest, _caller: Caller
    ) -> pb.RedeliverWebhookDeliveryResponse:
        delivery = self._webhooks.redeliver(request.webhook_id, request.delivery_id)
        return pb.RedeliverWebhookDeliveryResponse(delivery=view_message(pb.Delivery, delivery))


def _state(request: pb.ListWebhookDeliveriesRequest) -> DeliveryState | None:
    if not request.state:
        return None
    enum = pb.DeliveryState.DESCRIPTOR
    return choice(DeliveryState, enum, request.state, field="state")


def _event_type(
    request: pb.ListWebhookDeliveriesRequest,
) -> WebhookEventType | TrialEventType | None:
    given = text_of(request, "event_type")
    if given is None or given == TRIAL_EVENT_TYPE:
        return None if given is None else TRIAL_EVENT_TYPE
    allowed = (*WebhookEventType, TRIAL_EVENT_TYPE)
    return WebhookEventType(choice_of_text(allowed, given, field="event_type"))
