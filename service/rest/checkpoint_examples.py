"""Requests and answers about checkpoints as the OpenAPI description shows them."""

from typing import Any

from fastapi.openapi.models import Example

JOB_ID = "0199a8c2f3d07c4e9b1d5e6f7a8b9c0d"
CHECKPOINT: dict[str, Any] = {
    "attempt": 1,
    "step": 200,
    "update": 400,
    "uri": f"/srv/driftgate/artifacts/jobs/{JOB_ID}/1/step-200",
    "size_bytes": 2_400,
    "manifest_sha256": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "final": True,
    "created_at": "2026-11-26T10:00:00Z",
}
LIST_EXAMPLE: dict[str, Any] = {"job_id": JOB_ID, "checkpoints": [CHECKPOINT]}
CONTENT_EXAMPLE: dict[str, Any] = {
    "job_id": JOB_ID,
    "checkpoint": CHECKPOINT,
    "files": [
        {
            "name": "model.safetensors",
            "size_bytes": 1_200,
            "sha256": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a",
            "loadable": True,
        },
        {
            "name": "optimizer.safetensors",
            "size_bytes": 1_000,
            "sha256": "dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986",
            "loadable": False,
        },
    ],
}

EXPORT_EXAMPLES: dict[str, Example] = {
    "folder": {
        "summary": "A folder below the workers' export root",
        "value": {"destination": {"type": "folder", "path": "students/first"}},
    },
    "object store": {
        "summary": "A prefix in a bucket, with keys that the worker has",
        "value": {
            "name": "for serving",
            "destination": {
                "type": "object_store",
                "url": "s3://models/students/first",
                "region": "eu-central-1",
                "credentials": {
                    "access_key_id": {"secret": "MODELS_KEY_ID"},
                    "secret_access_key": {"secret": "MODELS_KEY"},
                },
            },
        },
    },
    "hub": {
        "summary": "A private repository of the hub",
        "value": {
            "destination": {
                "type": "hub",
                "repo_id": "example/first-student",
                "token": {"secret": "HUB_TOKEN"},
            }
        },
    },
}
