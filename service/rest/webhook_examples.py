"""What the OpenAPI description shows of webhooks."""

from typing import Any

from fastapi.openapi.models import Example

from service.jobs.webhooks import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    JobPayload,
    NewWebhook,
    TrialPayload,
    Webhook,
    WebhookPage,
)
from service.rest.job_examples import EXAMPLE_JOB_ID, EXAMPLE_SPEC

_WEBHOOK: dict[str, Any] = {
    "id": "019a8c2f3d07c4e9b1d5e6f7a8b9c0d1",
    "url": "https://ci.example.org/hooks/driftgate",
    "description": "CI",
    "event_types": ["job.succeeded", "job.failed"],
    "enabled": True,
    "created_at": "2026-01-02T09:30:00Z",
    "updated_at": "2026-01-02T09:30:00Z",
}
_NEW_WEBHOOK = _WEBHOOK | {
    "secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "earlier_secret_until": None,
}
_DELIVERY: dict[str, Any] = {
    "id": "019a8c315b21704f8a0be7d0c6f4a3e2",
    "webhook_id": _WEBHOOK["id"],
    "job_id": EXAMPLE_JOB_ID,
    "event_seq": 46,
    "event_type": "job.succeeded",
    "state": "delivered",
    "num_attempts": 2,
    "next_attempt_at": None,
    "created_at": "2026-01-05T10:00:29Z",
    "delivered_at": "2026-01-05T10:00:36Z",
}
_PENDING = _DELIVERY | {
    "state": "pending",
    "next_attempt_at": "2026-01-05T12:00:00Z",
    "delivered_at": None,
}
_JOB_PAYLOAD: dict[str, Any] = {
    "type": "job.succeeded",
    "timestamp": "2026-01-05T10:00:29.402518Z",
    "payload_version": 1,
    "data": {
        "job_id": EXAMPLE_JOB_ID,
        "name": EXAMPLE_SPEC["name"],
        "kind": "distillation",
        "labels": EXAMPLE_SPEC["labels"],
        "state": "succeeded",
        "attempt": 1,
        "event_seq": 46,
        "job_version": 115,
        "failure": None,
    },
}
_FAILED = {"code": "OUT_OF_MEMORY", "message": "The job needs more memory."}
_ATTEMPTS = [
    {
        "number": 1,
        "at": "2026-01-05T10:00:30Z",
        "http_status": 502,
        "error": "answered 502",
        "seconds": 0.09,
    },
    {
        "number": 2,
        "at": "2026-01-05T10:00:36Z",
        "http_status": 204,
        "error": None,
        "seconds": 0.11,
    },
]

EXAMPLE_WEBHOOK = Webhook.model_validate(_WEBHOOK)
EXAMPLE_WEBHOOK_PAGE = WebhookPage(webhooks=(EXAMPLE_WEBHOOK,), next_page_token=None)
EXAMPLE_NEW_WEBHOOK = NewWebhook.model_validate(_NEW_WEBHOOK)
EXAMPLE_ROTATED_WEBHOOK = NewWebhook.model_validate(
    _NEW_WEBHOOK
    | {
        "updated_at": "2026-01-20T16:00:00Z",
        "earlier_secret_until": "2026-01-21T16:00:00Z",
    }
)
EXAMPLE_DELIVERY = Delivery.model_validate(_DELIVERY)
EXAMPLE_DELIVERY_PAGE = DeliveryPage(
    webhook_id=EXAMPLE_WEBHOOK.id, deliveries=(EXAMPLE_DELIVERY,), next_page_token=None
)
EXAMPLE_DETAIL = DeliveryDetail.model_validate(
    _DELIVERY | {"payload": _JOB_PAYLOAD, "attempts": _ATTEMPTS}
)
EXAMPLE_PENDING = Delivery.model_validate(_PENDING)
EXAMPLE_TRIAL = Delivery.model_validate(
    _PENDING
    | {
        "job_id": None,
        "event_seq": None,
        "event_type": "webhook.test",
        "num_attempts": 0,
    }
)
JOB_PAYLOAD_EXAMPLES: dict[str, Example] = {
    "succeeded": {
        "summary": "A job has succeeded",
        "value": JobPayload.model_validate(_JOB_PAYLOAD),
    },
    "failed": {
        "summary": "A job has failed",
        "value": JobPayload.model_validate(
            _JOB_PAYLOAD
            | {
                "type": "job.failed",
                "data": _JOB_PAYLOAD["data"] | {"state": "failed", "failure": _FAILED},
            }
        ),
    },
}
TRIAL_PAYLOAD_EXAMPLES: dict[str, Example] = {
    "trial": {
        "summary": "A trial",
        "value": TrialPayload.model_validate(
            {
                "type": "webhook.test",
                "timestamp": "2026-01-02T09:31:00Z",
                "payload_version": 1,
                "data": {"webhook_id": EXAMPLE_WEBHOOK.id},
            }
        ),
    }
}
CREATE_EXAMPLES: dict[str, Example] = {
    "ends": {
        "summary": "Tell of jobs that ended",
        "value": {
            "url": EXAMPLE_WEBHOOK.url,
            "description": "CI",
            "event_types": ["job.succeeded", "job.failed", "job.cancelled"],
        },
    },
    "all": {"summary": "Tell of every move", "value": {"url": EXAMPLE_WEBHOOK.url}},
}
PATCH_EXAMPLES: dict[str, Example] = {
    "disable": {"summary": "Send nothing for now", "value": {"enabled": False}},
    "move": {
        "summary": "Another address, no description",
        "value": {"url": "https://ci.example.org/v2/hooks", "description": None},
    },
}
