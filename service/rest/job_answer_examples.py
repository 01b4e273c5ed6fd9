"""A job from its submission to its end, as the OpenAPI description shows it."""

from typing import Any

from service.jobs.results import Job, JobPage
from service.rest.job_examples import EXAMPLE_JOB_ID, EXAMPLE_SPEC

EXPORT_JOB_ID = "0199a8c3a1407c4e9b1d5e6f7a8b9c10"

_NOTHING_YET = {
    "step": 0,
    "total_steps": 30,
    "update": 0,
    "total_updates": 60,
    "evaluated_samples": 0,
    "samples_to_evaluate": 0,
}
_SUBMITTED: dict[str, Any] = {
    "id": EXAMPLE_JOB_ID,
    "name": EXAMPLE_SPEC["name"],
    "state": "queued",
    "phase": None,
    "progress": _NOTHING_YET,
    "attempt": 0,
    "cancel_requested_at": None,
    "failure": None,
    "warnings": [],
    "labels": {"team": "maths"},
    "priority": 0,
    "spec": EXAMPLE_SPEC,
    "spec_version": 1,
    "version": 1,
    "created_at": "2026-01-05T10:00:00Z",
    "updated_at": "2026-01-05T10:00:00Z",
    "started_at": None,
    "finished_at": None,
}
_RUNNING = _SUBMITTED | {
    "state": "running",
    "phase": "training",
    "progress": _NOTHING_YET | {"step": 12, "update": 24},
    "attempt": 1,
    "version": 57,
    "updated_at": "2026-01-05T10:00:13Z",
    "started_at": "2026-01-05T10:00:02Z",
}
_NEXT = _RUNNING | {"version": 58, "updated_at": "2026-01-05T10:00:14Z"}

EXAMPLE_SUBMITTED = Job.model_validate(_SUBMITTED)
EXAMPLE_JOB = Job.model_validate(_RUNNING)
EXAMPLE_PATCHED = Job.model_validate(_NEXT | {"priority": 10})
EXAMPLE_CANCELLING = Job.model_validate(
    _NEXT | {"state": "cancelling", "cancel_requested_at": _NEXT["updated_at"]}
)
EXAMPLE_PAUSING = Job.model_validate(_NEXT | {"state": "pausing"})
EXAMPLE_RESUMED = Job.model_validate(
    _NEXT | {"state": "queued", "phase": None, "version": 61, "updated_at": "2026-01-05T11:30:00Z"}
)
EXAMPLE_EXPORT_JOB = Job.model_validate(
    _SUBMITTED
    | {
        "id": EXPORT_JOB_ID,
        "name": None,
        "progress": _NOTHING_YET | {"total_steps": 0, "total_updates": 0},
        "labels": {},
        "spec": {
            "kind": "export",
            "job_id": EXAMPLE_JOB_ID,
            "destination": {"type": "folder", "path": "students/first"},
        },
        "created_at": "2026-01-05T12:00:00Z",
        "updated_at": "2026-01-05T12:00:00Z",
    }
)
EXAMPLE_JOB_PAGE = JobPage(jobs=(EXAMPLE_JOB,), next_page_token=None)
