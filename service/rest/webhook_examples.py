"""What the OpenAPI description shows of webhooks."""

from typing import Any

from fastapi.openapi.models import Example

EXAMPLE_WEBHOOK: dict[str, Any] = {
    "id": "019a8c2f3d07c4e9b1d5e6f7a8b9c0d1",
    "url": "https://ci.example.org/hooks/driftgate",
    "description": "CI",
    "event_types": ["job.succeeded", "job.failed"],
    "enabled": True,
    "created_at": "2026-11-02T09:30:00Z",
    "updated_at": "2026-11-02T09:30:00Z",
}
EXAMPLE_NEW_WEBHOOK = EXAMPLE_WEBHOOK | {
    "secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "earlier_secret_until": None,
}
EXAMPLE_ROTATED_WEBHOOK = EXAMPLE_NEW_WEBHOOK | {
    "updated_at": "2026-11-20T16:00:00Z",
    "earlier_secret_until": "2026-11-21T16:00:00Z",
}
EXAMPLE_DELIVERY: dict[str, Any] = {
    "id": "019a8c315b21704f8a0be7d0c6f4a3e2",
    "webhook_id": EXAMPLE_WEBHOOK["id"],
    "job_id": "019a8c30e4c27d1c9f6a5b4c3d2e1f00",
    "event_seq": 9,
    "event_type": "job.failed",
    "state": "delivered",
    "num_attempts": 2,
    "next_attempt_at": None,
    "created_at": "2026-11-02T10:12:31Z",
    "delivered_at": "2026-11-02T10:12:38Z",
}
EXAMPLE_PENDING = EXAMPLE_DELIVERY | {
    "state": "pending",
    "next_attempt_at": "2026-11-02T12:00:00Z",
    "delivered_at": None,
}
EXAMPLE_TRIAL = EXAMPLE_PENDING | {
    "job_id": None,
    "event_seq": None,
    "event_type": "webhook.test",
    "num_attempts": 0,
}
EXAMPLE_JOB_PAYLOAD: dict[str, Any] = {
    "type": "job.failed",
    "timestamp": "2026-11-02T10:12:31.402518Z",
    "payload_version": 1,
    "data": {
        "job_id": EXAMPLE_DELIVERY["job_id"],
        "name": "nightly",
        "kind": "distillation",
        "labels": {"team": "reasoning"},
        "state": "failed",
        "attempt": 1,
        "event_seq": 9,
        "job_version": 41,
        "failure": {"code": "OUT_OF_MEMORY", "message": "The job needs more memory."},
    },
}
EXAMPLE_TRIAL_PAYLOAD: dict[str, Any] = {
    "type": "webhook.test",
    "timestamp": "2026-11-02T09:31:00Z",
    "payload_version": 1,
    "data": {"webhook_id": EXAMPLE_WEBHOOK["id"]},
}
EXAMPLE_DETAIL = EXAMPLE_DELIVERY | {
    "payload": EXAMPLE_JOB_PAYLOAD,
    "attempts": [
        {
            "number": 1,
            "at": "2026-11-02T10:12:32Z",
            "http_status": 502,
            "error": "answered 502",
            "seconds": 0.09,
        },
        {
            "number": 2,
            "at": "2026-11-02T10:12:38Z",
            "http_status": 204,
            "error": None,
            "seconds": 0.11,
        },
    ],
}
CREATE_EXAMPLES: dict[str, Example] = {
    "ends": {
        "summary": "Tell of jobs that ended",
        "value": {
            "url": EXAMPLE_WEBHOOK["url"],
            "description": "CI",
            "event_types": ["job.succeeded", "job.failed", "job.cancelled"],
        },
    },
    "all": {"summary": "Tell of every move", "value": {"url": EXAMPLE_WEBHOOK["url"]}},
}
PATCH_EXAMPLES: dict[str, Example] = {
    "disable": {"summary": "Send nothing for now", "value": {"enabled": False}},
    "move": {
        "summary": "Another address, no description",
        "value": {"url": "https://ci.example.org/v2/hooks", "description": None},
    },
}
