"""The request that pipelines send most, `POST /v1/jobs`, answered before the framework looks at it.

To route such a request, and to read its body and its parameters, would cost as much as to store the job.
"""

from http import HTTPMethod

from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import DriftgateError
from service.jobs.access import Caller
from service.jobs.parsing import ANY_JOB_SPEC
from service.operations import Operations
from service.rest.answers import submitted_response
from service.rest.body_limit import body_again
from service.rest.problems import problem_response
from service.rest.request_counts import TEMPLATE
from service.rest.threads import in_thread

JOBS_PATH = "/v1/jobs"
KEY_HEADER = b"idempotency-key"


class SubmittedJobs:
    """Answers a POST of a valid spec as its endpoint does. Needs the whole body in one piece.

    Whatever else a request asks for, and a body that is no spec, is the endpoint's.
    """

    def __init__(self, app: ASGIApp, *, operations: Operations) -> None:
        self._app = app
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_submission(scope):
            await self._app(scope, receive, send)
            return
        scope[TEMPLATE] = JOBS_PATH
        body: bytes = (await receive())["body"]
        key = next((value for name, value in scope["headers"] if name == KEY_HEADER), None)
        answer = await in_thread(
            self._answer, body, key and key.decode("latin-1"), scope["state"]["caller"]
        )
        await (answer or self._app)(scope, body_again(body, receive), send)

    def _answer(self, body: bytes, key: str | None, caller: Caller) -> Response | None:
        try:
            spec = ANY_JOB_SPEC.validate_json(body)
        except ValidationError:
            return None  # the endpoint says what is wrong
        try:
            job = self._operations.submit_job(spec, idempotency_key=key, caller=caller)
        except DriftgateError as refusal:
            return problem_response(refusal)
        return submitted_response(job)


def _is_submission(scope: Scope) -> bool:
    """Of one spec in JSON, with one key or none and without parameters."""
    if scope["type"] != "http" or scope["method"] != HTTPMethod.POST:
        return False
    if scope["path"] != JOBS_PATH or scope["query_string"]:
        return False
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    num_keys = sum(name == KEY_HEADER for name, _ in scope["headers"])
    return types == [b"application/json"] and num_keys <= 1
