"""Errors as RFC 9457 problem details, one shape for every status."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from service.error_catalogue import CATALOGUE
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.allowed_text import allowed_text
from service.jobs.parsing import invalid_request, invalid_spec
from service.jobs.results import FieldViolation
from service.jobs.shown_input import shown
from service.jobs.study_jobs import invalid_study
from service.rest.allowed_methods import allowed_methods

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# By address; every other body is refused as a request is.
REFUSALS_OF_SPECS = {"/v1/jobs": invalid_spec, "/v1/studies": invalid_study}
RETRY_AFTER_S = 5


class ProblemDetails(BaseModel):
    """Why a request was refused. Switch on `code`; `detail` is for people."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="`urn:driftgate:error:` and the code.")
    title: str = Field(description="What the code means.")
    status: int
    detail: str = Field(description="What was given, what is allowed, what to do.")
    code: ErrorCode
    retryable: bool = Field(description="Whether the same request may succeed later.")
    violations: tuple[FieldViolation, ...]


def problem_response(
    error: DriftgateError, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    entry = CATALOGUE[error.code]
    problem = ProblemDetails(
        type=f"urn:driftgate:error:{error.code}",
        title=entry.meaning,
        status=entry.http_status,
        detail=error.message,
        code=error.code,
        retryable=entry.retryable,
        violations=tuple(
            FieldViolation(field=one.field, given=one.given, allowed=one.allowed)
            for one in error.violations
        ),
    )
    all_headers = dict(headers or {})
    if entry.retryable:
        wait_s = RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
        all_headers["Retry-After"] = str(math.ceil(wait_s))
    if error.code is ErrorCode.UNAUTHENTICATED:
        all_headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=entry.http_status,
        media_type=MEDIA_TYPE,
        headers=all_headers,
    )


def install_error_handlers(app: FastAPI) -> None:
    """Every error that an endpoint, the router or validation raises becomes problem details."""
    app.add_exception_handler(DriftgateError, _on_driftgate_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_defect)


def _on_driftgate_error(_request: Request, error: Exception) -> JSONResponse:
    return problem_response(cast("DriftgateError", error))


def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    invalid = cast("RequestValidationError", error)
    in_body = [one for one in invalid.errors() if one["loc"][0] == "body"]
    if not in_body:
        return problem_response(_invalid_parameters(invalid.errors()))
    content_type = request.headers.get("content-type", "")
    if isinstance(invalid.body, bytes) and invalid.body:
        return problem_response(_not_json_typed(content_type))
    if in_body[0]["type"] == "json_invalid":
        return problem_response(_malformed_json(in_body[0]))
    below_body = [cast("ErrorDetails", one | {"loc": one["loc"][1:]}) for one in in_body]
    refusal = (
        REFUSALS_OF_SPECS.get(request.url.path, invalid_request)
        if request.method == "POST"
        else invalid_request
    )
    return problem_response(refusal(below_body, invalid.body))


def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    exception = cast("HTTPException", error)
    path = request.url.path[:200]
    match exception.status_code:
        case HTTPStatus.NOT_FOUND:
            refusal = DriftgateError(
                ErrorCode.ROUTE_NOT_FOUND,
                f"There is nothing at {path}. /openapi.json lists what there is.",
            )
        case HTTPStatus.METHOD_NOT_ALLOWED:
            refusal = DriftgateError(
                ErrorCode.METHOD_NOT_ALLOWED, f"{path} does not take {request.method}."
            )
            headers = dict(exception.headers or {}) | _allow(request)
            return problem_response(refusal, headers=headers)
        case _:
            refusal = _unreadable(exception)
    return problem_response(refusal, headers=exception.headers)


def _allow(request: Request) -> dict[str, str]:
    methods = allowed_methods(request.app, request.url.path)
    return {"Allow": ", ".join(methods)} if methods else {}


def _unreadable(exception: HTTPException) -> DriftgateError:
    """Of a body that FastAPI gave up on; what it met is the cause."""
    match exception.__cause__:
        case RecursionError():
            given = "values nested too deeply"
        case UnicodeDecodeError():
            given = "bytes that are not UTF-8"
        case ValueError():
            given = "a number of too many digits"
        case _:
            given = str(exception.detail)
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"The body cannot be read: {given}. Send one JSON object in UTF-8.",
        [Violation("body", given, "a JSON object in UTF-8")],
    )


def _on_defect(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(
        DriftgateError(
            ErrorCode.INTERNAL,
            "The service made a mistake. Its log says which; nothing is known to be wrong with "
            "the request.",
        )
    )


def _invalid_parameters(errors: Any) -> DriftgateError:
    violations = [
        Violation(
            field=str(one["loc"][1]),
            given="nothing" if one["type"] == "missing" else shown(one["input"]),
            allowed=allowed_text(one),
        )
        for one in errors
    ]
    first = violations[0]
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"{first.field}: given {first.given}, allowed: {first.allowed}.",
        violations,
    )


def _not_json_typed(content_type: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.UNSUPPORTED_MEDIA_TYPE,
        f"The body came as {content_type[:100] or 'no type at all'}. Send it with "
        "`content-type: application/json`.",
        [Violation("content-type", content_type[:100] or "nothing", "application/json")],
    )


def _malformed_json(error: Mapping[str, Any]) -> DriftgateError:
    position = error["loc"][1]
    reason = error["ctx"]["error"]
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"The body is not JSON: {reason} at character {position}.",
        [Violation("body", f"{reason} at character {position}", "a JSON object")],
    )
