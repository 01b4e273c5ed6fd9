"""The poll that dashboards send most, answered before the framework looks at it."""

import re

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import DriftgateError
from service.operations import Operations
from service.rest.answers import etag_of_version
from service.rest.conditional import is_known, not_modified

JOB_PATH = re.compile(r"/v1/jobs/([0-9a-f]{32})")


class UnchangedJobs:
    """304 for a job that the client has already; everything else goes on to its endpoint.

    To route such a request and to read its parameters would cost twice what its answer costs.
    """

    def __init__(self, app: ASGIApp, *, operations: Operations) -> None:
        self._app = app
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        etag = await self._known_etag(scope)
        answer = self._app if etag is None else not_modified(etag)
        await answer(scope, receive, send)

    async def _known_etag(self, scope: Scope) -> str | None:
        """The job's ETag where the request names it and does not ask to wait."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        path = JOB_PATH.fullmatch(scope["path"])
        if path is None or scope["query_string"]:
            return None
        headers = dict(scope["headers"])
        if_none_match = headers.get(b"if-none-match")
        if if_none_match is None or b"prefer" in headers:
            return None
        try:
            version = await run_in_threadpool(self._operations.job_version, path[1])
        except DriftgateError:
            return None  # the endpoint says what is wrong
        etag = etag_of_version(version)
        return etag if is_known(if_none_match.decode("latin-1"), etag) else None
