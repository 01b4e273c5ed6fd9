"""/v1/webhooks, for admins; and the description of what is sent to receivers."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Response

from service.jobs.webhooks import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryState,
    JobPayload,
    NewWebhook,
    TrialEventType,
    TrialPayload,
    Webhook,
    WebhookEventType,
    WebhookPage,
    WebhookPatch,
    WebhookSpec,
)
from service.rest.answers import json_response
from service.rest.json_examples import json_example, request_examples
from service.rest.parameters import FromApp, PageToken, problem
from service.rest.webhook_examples import (
    CREATE_EXAMPLES,
    EXAMPLE_DELIVERY_PAGE,
    EXAMPLE_DETAIL,
    EXAMPLE_NEW_WEBHOOK,
    EXAMPLE_PENDING,
    EXAMPLE_ROTATED_WEBHOOK,
    EXAMPLE_TRIAL,
    EXAMPLE_WEBHOOK,
    EXAMPLE_WEBHOOK_PAGE,
    JOB_PAYLOAD_EXAMPLES,
    PATCH_EXAMPLES,
    TRIAL_PAYLOAD_EXAMPLES,
)
from service.webhooks import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

# A secret that a proxy or a browser kept would be shown twice.
UNCACHED = {"Cache-Control": "no-store"}
NO_SUCH_WEBHOOK: dict[int | str, dict[str, Any]] = {404: problem("No webhook has this id.")}
NO_SUCH_DELIVERY: dict[int | str, dict[str, Any]] = {
    404: problem("No delivery of the webhook has this id.")
}
BAD_TARGET: dict[int | str, dict[str, Any]] = {
    400: problem("A field that is not allowed."),
    422: problem("The url is of a private address, or of plain http."),
}
DISABLED: dict[int | str, dict[str, Any]] = {400: problem("The webhook is disabled.")}

WebhookId = Annotated[str, Path(description="32 hexadecimal digits.")]
DeliveryId = Annotated[str, Path(description="32 hexadecimal digits: the header `webhook-id`.")]
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)]


router = APIRouter(
    prefix="/v1/webhooks",
    tags=["webhooks"],
    responses={
        401: problem("No key, or one that is unknown, expired or revoked."),
        403: problem("The key's scope is not admin."),
        "default": problem("Any other error."),
    },
)


@router.post(
    "",
    status_code=201,
    response_model=NewWebhook,
    summary="Register a webhook",
    response_description="The webhook with its secret, shown this once. `Location` is its address.",
    responses=BAD_TARGET
    | {201: json_example(EXAMPLE_NEW_WEBHOOK), 429: problem("There are as many as allowed.")},
)
def create_webhook(
    spec: Annotated[WebhookSpec, Body(openapi_examples=request_examples(CREATE_EXAMPLES))],
    operations: FromApp,
) -> Response:
    """Tells of every move of every job from now on, signed as Standard Webhooks defines it.

    A name in the url is resolved, and refused where it is of a private address, when something is sent.
    """
    created = operations.webhooks.create(spec)
    location = {"Location": f"/v1/webhooks/{created.id}"}
    return json_response(created, status_code=201, headers=UNCACHED | location)


@router.get(
    "",
    response_model=WebhookPage,
    summary="List webhooks, newest first",
    responses={
        200: json_example(EXAMPLE_WEBHOOK_PAGE),
        400: problem("A bad parameter."),
    },
)
def list_webhooks(
    operations: FromApp, page_size: PageSize = DEFAULT_PAGE_SIZE, page_token: PageToken = None
) -> Response:
    """Never a secret."""
    return json_response(operations.webhooks.list_webhooks(limit=page_size, page_token=page_token))


@router.get(
    "/{webhook_id:id}",
    response_model=Webhook,
    summary="Get a webhook",
    responses=NO_SUCH_WEBHOOK | {200: json_example(EXAMPLE_WEBHOOK)},
)
def get_webhook(webhook_id: WebhookId, operations: FromApp) -> Response:
    """Without its secret."""
    return json_response(operations.webhooks.get(webhook_id))


@router.patch(
    "/{webhook_id:id}",
    response_model=Webhook,
    summary="Change a webhook",
    responses=NO_SUCH_WEBHOOK | BAD_TARGET | {200: json_example(EXAMPLE_WEBHOOK)},
)
def patch_webhook(
    webhook_id: WebhookId,
    patch: Annotated[WebhookPatch, Body(openapi_examples=request_examples(PATCH_EXAMPLES))],
    operations: FromApp,
) -> Response:
    """Url, description, event types, enabled; what is not named stays. Holds for what waits too."""
    return json_response(operations.webhooks.update(webhook_id, patch))


@router.delete(
    "/{webhook_id:id}",
    status_code=204,
    summary="Delete a webhook",
    responses=NO_SUCH_WEBHOOK,
)
def delete_webhook(webhook_id: WebhookId, operations: FromApp) -> Response:
    """With the log of its deliveries. What waits is not sent."""
    operations.webhooks.delete(webhook_id)
    return Response(status_code=204)


@router.post(
    "/{webhook_id:id}:rotateSecret",
    response_model=NewWebhook,
    summary="Replace the secret of a webhook",
    response_description="The webhook with its new secret, shown this once.",
    responses=NO_SUCH_WEBHOOK | {200: json_example(EXAMPLE_ROTATED_WEBHOOK)},
)
def rotate_webhook_secret(webhook_id: WebhookId, operations: FromApp) -> Response:
    """For a day, requests carry a signature of the earlier secret too, so that receivers can change over."""
    return json_response(operations.webhooks.rotate_secret(webhook_id), headers=UNCACHED)


@router.post(
    "/{webhook_id:id}:test",
    status_code=202,
    response_model=Delivery,
    summary="Try a webhook",
    response_description="The delivery, not sent yet. `Location` is its address.",
    responses=NO_SUCH_WEBHOOK | DISABLED | {202: json_example(EXAMPLE_TRIAL)},
)
def test_webhook(webhook_id: WebhookId, operations: FromApp) -> Response:
    """Sends `webhook.test` within a second or two; read the delivery for how it went."""
    return _accepted(operations.webhooks.test(webhook_id))


@router.get(
    "/{webhook_id:id}/deliveries",
    response_model=DeliveryPage,
    summary="List the deliveries of a webhook, newest first",
    responses=NO_SUCH_WEBHOOK
    | {
        200: json_example(EXAMPLE_DELIVERY_PAGE),
        400: problem("A bad parameter."),
    },
)
def list_webhook_deliveries(
    *,
    webhook_id: WebhookId,
    operations: FromApp,
    state: DeliveryState | None = None,
    event_type: WebhookEventType | TrialEventType | None = None,
    job_id: Annotated[str | None, Query(max_length=100)] = None,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
) -> Response:
    """Of the last thirty days. Each filter narrows the list."""
    page = operations.webhooks.list_deliveries(
        webhook_id,
        limit=page_size,
        page_token=page_token,
        state=state,
        event_type=event_type,
        job_id=job_id,
    )
    return json_response(page)


@router.get(
    "/{webhook_id:id}/deliveries/{delivery_id:id}",
    response_model=DeliveryDetail,
    summary="Get a delivery with its body and its attempts",
    responses=NO_SUCH_DELIVERY | {200: json_example(EXAMPLE_DETAIL)},
)
def get_webhook_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, operations: FromApp
) -> Response:
    """Each attempt with the receiver's status, or why there was none. Its answers are not kept."""
    return json_response(operations.webhooks.get_delivery(webhook_id, delivery_id))


@router.post(
    "/{webhook_id:id}/deliveries/{delivery_id:id}:redeliver",
    status_code=202,
    response_model=Delivery,
    summary="Deliver once more",
    response_description="The delivery, pending. `Location` is its address.",
    responses=NO_SUCH_DELIVERY | DISABLED | {202: json_example(EXAMPLE_PENDING)},
)
def redeliver_webhook_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, operations: FromApp
) -> Response:
    """Under the same `webhook-id` and with the same body; one that was given up gets one attempt."""
    return _accepted(operations.webhooks.redeliver(webhook_id, delivery_id))


def _accepted(delivery: Delivery) -> Response:
    location = f"/v1/webhooks/{delivery.webhook_id}/deliveries/{delivery.id}"
    return json_response(delivery, status_code=202, headers={"Location": location})


# Described, not served: these requests go to the receivers.
outgoing = APIRouter(
    tags=["webhooks"],
    responses={
        410: {"description": "Disables the webhook."},
        "default": {"description": "Tried again later; redirects are not followed."},
    },
)

SentId = Annotated[
    str, Header(alias="webhook-id", description="The delivery: the same in every attempt.")
]
SentTimestamp = Annotated[
    int, Header(alias="webhook-timestamp", description="Of this attempt, seconds since 1970.")
]
SentSignature = Annotated[
    str,
    Header(
        alias="webhook-signature",
        description="`v1,` and base64 of HMAC-SHA256(secret, `{id}.{timestamp}.{body}`); after a rotation "
        "several, with spaces between them.",
    ),
]
ACCEPTED = "This or any other 2xx: delivered."


@outgoing.post("job.moved", status_code=204, summary="A job moved", response_description=ACCEPTED)
def job_moved(
    webhook_id: SentId,
    webhook_timestamp: SentTimestamp,
    webhook_signature: SentSignature,
    payload: Annotated[JobPayload, Body(openapi_examples=request_examples(JOB_PAYLOAD_EXAMPLES))],
) -> None:
    """At least once, in any order: `webhook-id` tells repetitions, `event_seq` the order of one job."""


@outgoing.post("webhook.test", status_code=204, summary="A trial", response_description=ACCEPTED)
def webhook_tried(
    webhook_id: SentId,
    webhook_timestamp: SentTimestamp,
    webhook_signature: SentSignature,
    payload: Annotated[
        TrialPayload, Body(openapi_examples=request_examples(TRIAL_PAYLOAD_EXAMPLES))
    ],
) -> None:
    """Sent on request, for nothing that happened."""
