"""Answers that the client has already: ETag, If-None-Match and 304."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from pydantic import BaseModel

from service.rest.answers import REVALIDATE, etag_of_version, json_response
from service.rest.parameters import FromApp, JobId

OPAQUE_TAG = re.compile(r'"[^"]*"')
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Unchanged since the answer whose ETag came in `If-None-Match`. No body."}
}

IfNoneMatch = Annotated[
    str | None,
    Header(
        description="ETag of an earlier answer, several of them, or `*`: 304 if one still holds."
    ),
]


class NotModified(Exception):  # noqa: N818 it is an answer, not an error
    """What the client has is what it would get."""

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has the answer of this ETag. By the weak comparison, as RFC 9110 asks for."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in OPAQUE_TAG.findall(if_none_match)


def not_modified(etag: str, *, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status_code=304, headers=_validators(etag) | dict(headers or {}))


def etag_of_versions(job_ids: Sequence[str], versions: Mapping[str, int]) -> str:
    """Of several jobs in this order; a job without a version is not there."""
    text = ",".join(f"{job_id}:{versions.get(job_id, 0)}" for job_id in dict.fromkeys(job_ids))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class JobTag:
    """The ETag of every answer of a job of this version, and whether the client has it. None of a job that is not there."""

    etag: str | None
    is_known: bool

    def spare_known(self) -> None:
        """Raises NotModified where the client has the answer. For after every check of the parameters."""
        if self.etag is not None and self.is_known:
            raise NotModified(self.etag)


def _tag_of_job(
    job_id: JobId, operations: FromApp, response: Response, if_none_match: IfNoneMatch = None
) -> JobTag:
    """Everything that a job has measured changes with its version, so that serves as the ETag.

    The version is read before the answer is: an answer may be newer than its ETag, never older.
    """
    mark = operations.job_marks([job_id]).get(job_id)
    if mark is None:
        return JobTag(None, is_known=False)  # the endpoint says so, unless a parameter is wrong too
    etag = etag_of_version(mark.version)
    response.headers.update(_validators(etag))
    return JobTag(etag, is_known=is_known(if_none_match, etag))


# For an endpoint whose answer is a view, of a job that its path names.
TagOfJob = Annotated[JobTag, Depends(_tag_of_job)]


async def _unless_known(tag: TagOfJob) -> None:
    tag.spare_known()


# For `dependencies=[…]` of such an endpoint that takes nothing but the job: it comes before the endpoint's own parameters
# are looked at, and a wrong one is to be refused whatever the client has.
UNLESS_KNOWN = Depends(_unless_known)


def unless_same(view: BaseModel, *, if_none_match: str | None) -> Response:
    """The view with the hash of its bytes as a strong ETag, or 304: it is made each time, but not sent where it is the same.

    For an answer that no version stands for, such as a list.
    """
    response = json_response(view)
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    if is_known(if_none_match, etag):
        return not_modified(etag)
    response.headers.update(_validators(etag))
    return response


def install_not_modified(app: FastAPI) -> None:
    app.add_exception_handler(NotModified, _on_not_modified)


def _on_not_modified(_request: Request, answer: Exception) -> Response:
    assert isinstance(answer, NotModified)
    return not_modified(answer.etag)


def _validators(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": REVALIDATE}
