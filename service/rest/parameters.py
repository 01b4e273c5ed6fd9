"""What several endpoints take and answer in the same way."""

import re
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import Header, Path, Query, Request
from fastapi.params import Depends
from starlette.convertors import StringConvertor, register_url_convertor

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Caller
from service.jobs.shown_input import shown
from service.key_watch import KeyWatch
from service.operations import MAX_COUNT, Operations
from service.rest.problems import MEDIA_TYPE, ProblemDetails

VERSION_ETAG = re.compile(r'"(0|[1-9][0-9]{0,15})"')


class IdConvertor(StringConvertor):
    """`{job_id:id}` of an address. No id holds a colon, which is where a verb begins: `/v1/jobs/ID:cancel` is of no job."""

    regex = "[^/:]+"


register_url_convertor("id", IdConvertor())


def problem(description: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


async def _operations(request: Request) -> Operations:
    operations: Operations = request.app.state.operations
    return operations


async def _caller(request: Request) -> Caller:  # a thread for it would cost more than it does
    caller: Caller = request.state.caller
    return caller


async def _while_accepted(request: Request) -> AbstractAsyncContextManager[None]:
    key_watch: KeyWatch = request.app.state.key_watch
    return key_watch.while_accepted(request.headers.get("authorization"))


def version_of_etag(if_match: str | None) -> int | None:
    """None where any version will do. Raises INVALID_ARGUMENT for what is no ETag of a job."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = VERSION_ETAG.fullmatch(if_match.strip())
    if match is None:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"If-Match: given {shown(if_match)}, allowed: the ETag of the job as it was read, such as "
            '"3", or *.',
            [Violation("if-match", shown(if_match), "one ETag of the job, or *")],
        )
    return int(match[1])


async def _idempotency_key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="The same key and request give the same job or study, however often they are sent."
        ),
    ] = None,
) -> str | None:
    """Raises INVALID_ARGUMENT where it came twice: a retry that sends one of the two could make a second job."""
    num_keys = len(request.headers.getlist("idempotency-key"))
    if num_keys > 1:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"Idempotency-Key: given {num_keys} times, allowed: once.",
            [Violation("idempotency_key", f"{num_keys} headers", "one header")],
        )
    return idempotency_key


FromApp = Annotated[Operations, Depends(_operations)]
FromCaller = Annotated[Caller, Depends(_caller)]
# To be held while an answer is waited for, which its key may not outlive.
WhileAccepted = Annotated[AbstractAsyncContextManager[None], Depends(_while_accepted)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
IfMatch = Annotated[
    str | None,
    Header(description="The ETag of the job as it was read: refused where it has changed since."),
]
JobId = Annotated[str, Path(description="32 hexadecimal digits.")]
AfterUpdate = Annotated[int, Query(ge=0, le=MAX_COUNT, description="Only updates after this one.")]

PageToken = Annotated[
    str | None,
    Query(
        max_length=1000,
        description="`next_page_token` of the page before, under the same filters and order.",
    ),
]

K = Annotated[int, Query(ge=1, le=4096, description="Of pass@k.")]
Stage = Annotated[
    str | None,
    Query(max_length=16, description="`baseline`, `step-0000025`, `final`, `teacher` or `model`."),
]

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: problem("No job has this id.")}
