"""Answers that are views of the contract, written as JSON without a second look at them.

FastAPI would validate every view once more against the type that it was made of.
"""

from collections.abc import Mapping

from fastapi import Response
from pydantic import BaseModel

from service.jobs.results import Job

# A client may keep the answer, and asks each time whether it still holds.
REVALIDATE = "private, no-cache"


def json_response(
    view: BaseModel, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        view.__pydantic_serializer__.to_json(view),
        status_code=status_code,
        headers=headers,
        media_type="application/json",
    )


def job_response(
    job: Job, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The job with its version as the ETag."""
    version = {"ETag": etag_of_version(job.version), "Cache-Control": REVALIDATE}
    return json_response(job, status_code=status_code, headers=version | dict(headers or {}))


def submitted_response(job: Job) -> Response:
    return job_response(job, status_code=201, headers={"Location": f"/v1/jobs/{job.id}"})


def etag_of_version(version: int) -> str:
    return f'"{version}"'
