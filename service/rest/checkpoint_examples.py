"""Requests and answers about checkpoints as the OpenAPI description shows them."""

from fastapi.openapi.models import Example

from service.jobs.checkpoint_manifest import CheckpointContent, CheckpointFile, is_loadable
from service.jobs.results import Checkpoint, JobCheckpoints
from service.rest.job_examples import EXAMPLE_JOB_ID

_CHECKPOINT = Checkpoint.model_validate(
    {
        "attempt": 1,
        "step": 30,
        "update": 60,
        "uri": f"/srv/driftgate/artifacts/jobs/{EXAMPLE_JOB_ID}/1/step-30",
        "size_bytes": 1_217_680,
        "manifest_sha256": "b53630713c83fd71a9c85705e40b4acb2b0cbd8e9ea09bea7d61bcc2a631210d",
        "final": True,
        "created_at": "2026-01-05T10:00:26Z",
    }
)
_FILES = [
    ("config.json", 824, "0f53b9d9269bd078c3fc602e0167e0c34018f5dc2560164a2dcdbfa2256aafa5"),
    (
        "model.safetensors",
        404_640,
        "9399a3d0cdd85e520f07b9daae39e44561c185413954b6017b3d42923552904c",
    ),
    (
        "optimizer.safetensors",
        812_216,
        "a901184bf2e3da2571f6a7afb4a3cf47e83e7b3fdbc22154e649761b64408459",
    ),
]
EXAMPLE_CHECKPOINTS = JobCheckpoints(job_id=EXAMPLE_JOB_ID, checkpoints=(_CHECKPOINT,))
EXAMPLE_CONTENT = CheckpointContent(
    job_id=EXAMPLE_JOB_ID,
    checkpoint=_CHECKPOINT,
    files=tuple(
        CheckpointFile(name=name, size_bytes=size_bytes, sha256=sha256, loadable=is_loadable(name))
        for name, size_bytes, sha256 in _FILES
    ),
)

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
