"""Answers of the polled and streamed endpoints as the OpenAPI description shows them."""

from typing import Any

from service.rest.job_examples import EXAMPLE_SPEC

EXAMPLE_JOB_ID = "0199a8c2f3d07c4e9b1d5e6f7a8b9c0d"
EXAMPLE_TOKEN = "WzgxNCwgIjAxOTlhOGMyZjNkMDdjNGU5YjFkNWU2ZjdhOGI5YzBkIl0="

EXAMPLE_JOB: dict[str, Any] = {
    "id": EXAMPLE_JOB_ID,
    "name": EXAMPLE_SPEC["name"],
    "state": "running",
    "phase": "training",
    "progress": {
        "step": 12,
        "total_steps": 30,
        "update": 48,
        "total_updates": 120,
        "evaluated_samples": 0,
        "samples_to_evaluate": 0,
    },
    "attempt": 1,
    "cancel_requested_at": None,
    "failure": None,
    "warnings": [],
    "labels": {"team": "maths"},
    "priority": 0,
    "spec": EXAMPLE_SPEC,
    "spec_version": 1,
    "version": 57,
    "created_at": "2026-01-05T10:00:00Z",
    "updated_at": "2026-01-05T10:04:30Z",
    "started_at": "2026-01-05T10:00:02Z",
    "finished_at": None,
}
EXAMPLE_BATCH = {"jobs": [EXAMPLE_JOB], "missing": ["0199a8c2f3d07c4e9b1d5e6f7a8b9c0e"]}
EXAMPLE_CHANGES = {
    "changes": [{"job_id": EXAMPLE_JOB_ID, "job": EXAMPLE_JOB}],
    "next_after": EXAMPLE_TOKEN,
}
EXAMPLE_EVENTS = """\
retry: 2000

event: state_changed
data: {"seq":1,"at":"2026-01-05T10:00:00Z","type":"state_changed","state":"queued","attempt":0,"message":"Submitted."}
id: 1

: heartbeat

event: state_changed
data: {"seq":2,"at":"2026-01-05T10:00:09Z","type":"state_changed","state":"cancelled","attempt":0,"message":"Cancel requested."}
id: 2

event: end
data: {"reason": "job_ended"}

"""
EXAMPLE_WATCH = f"""\
id: {EXAMPLE_TOKEN}
retry: 2000

event: changed
data: {{"job_id":"{EXAMPLE_JOB_ID}","job":null}}
id: {EXAMPLE_TOKEN}

"""


def answer(example: object, *, media_type: str = "application/json") -> dict[int | str, Any]:
    return {200: {"content": {media_type: {"example": example}}}}
