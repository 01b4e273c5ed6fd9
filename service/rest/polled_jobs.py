"""The poll that dashboards send most, `GET /v1/jobs/{id}`, answered before the framework looks at it.

To route such a request and to read its parameters would cost twice what its answer costs.
"""

import re
from http import HTTPMethod

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import DriftgateError
from service.operations import Operations
from service.rest.answers import etag_of_version, job_response
from service.rest.conditional import is_known, not_modified
from service.rest.request_counts import TEMPLATE
from service.rest.threads import in_thread

JOB_TEMPLATE = "/v1/jobs/{job_id}"
JOB_PATH = re.compile(r"/v1/jobs/([0-9a-f]{32})")


class PolledJobs:
    """Answers a GET of one job as its endpoint does: the job, or 304 where the client has it.

    Whatever else a request asks for, and whatever is refused, is the endpoint's.
    """

    def __init__(self, app: ASGIApp, *, operations: Operations) -> None:
        self._app = app
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        job_id = _polled_job_id(scope)
        answer = None if job_id is None else await self._answer(job_id, scope)
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, job_id: str, scope: Scope) -> Response | None:
        tags = [value for name, value in scope["headers"] if name == b"if-none-match"]
        try:
            if len(tags) == 1:
                version = await in_thread(self._operations.job_version, job_id)
                etag = etag_of_version(version)
                if is_known(tags[0].decode("latin-1"), etag):
                    return not_modified(etag)
            elif tags:
                return None
            return job_response(await in_thread(self._operations.get_job, job_id))
        except DriftgateError:
            return None  # the endpoint says what is wrong


def _polled_job_id(scope: Scope) -> str | None:
    """Of a request that names a job and asks for nothing but it."""
    if scope["type"] != "http" or scope["method"] != HTTPMethod.GET or scope["query_string"]:
        return None
    path = JOB_PATH.fullmatch(scope["path"])
    if path is None or any(name == b"prefer" for name, _ in scope["headers"]):
        return None
    scope[TEMPLATE] = JOB_TEMPLATE
    return path[1]
