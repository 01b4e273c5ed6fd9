"""/v1/api-keys: for admins, and `:current` for everyone."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from fastapi.openapi.models import Example

from service.api_keys import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, current_caller
from service.jobs.api_keys import (
    ApiKey,
    ApiKeyPage,
    ApiKeyRequest,
    ApiKeyRotation,
    CurrentCaller,
    NewApiKey,
)
from service.rest.answers import json_response
from service.rest.json_examples import json_example, request_examples
from service.rest.parameters import FromApp, FromCaller, PageToken, problem

_KEY: dict[str, Any] = {
    "id": "019a8c2f3d07c4e9b1d5e6f7a8b9c0d1",
    "name": "nightly pipeline",
    "scope": "write",
    "key_start": "dg_4fQz0Y9sX",
    "caller_id": "019a8c2f3d07c4e9b1d5e6f7a8b9c0d1",
    "max_queued_jobs": 20,
    "max_requests_per_minute": None,
    "max_streams": None,
    "created_at": "2026-11-02T09:30:00Z",
    "expires_at": "2027-01-31T09:30:00Z",
    "revoked_at": None,
    "last_used_at": "2026-11-03T04:00:12Z",
}
EXAMPLE_KEY = ApiKey.model_validate(_KEY)
EXAMPLE_NEW_KEY = NewApiKey(
    key="dg_4fQz0Y9sX_an_example_that_no_server_knows_0",
    api_key=ApiKey.model_validate(_KEY | {"last_used_at": None}),
)
EXAMPLE_KEY_PAGE = ApiKeyPage(api_keys=(EXAMPLE_KEY,), next_page_token=None)
EXAMPLE_CALLER = CurrentCaller(
    caller_id=EXAMPLE_KEY.caller_id,
    scope=EXAMPLE_KEY.scope,
    max_queued_jobs=20,
    max_requests_per_minute=6000,
    max_streams=100,
)
CREATE_EXAMPLES: dict[str, Example] = {
    "pipeline": {
        "summary": "For a pipeline, for 90 days",
        "value": {
            "name": "nightly pipeline",
            "scope": "write",
            "expires_in_days": 90,
            "max_queued_jobs": 20,
        },
    },
    "dashboard": {
        "summary": "For a dashboard that only reads",
        "value": {"name": "wall display", "scope": "read"},
    },
}
ROTATE_EXAMPLES: dict[str, Example] = {
    "at_once": {"summary": "The earlier key ends now", "value": {}},
    "with_grace": {"summary": "Both hold for an hour", "value": {"grace_s": 3600}},
}
# A key that a proxy or a browser kept would be shown twice.
UNCACHED = {"Cache-Control": "no-store"}
NO_SUCH_KEY: dict[int | str, dict[str, Any]] = {404: problem("No API key has this id.")}

KeyId = Annotated[str, Path(description="32 hexadecimal digits, not the key itself.")]

router = APIRouter(
    prefix="/v1/api-keys",
    tags=["API keys"],
    responses={
        401: problem("No key, or one that is unknown, expired or revoked."),
        403: problem("The key's scope is not admin."),
        "default": problem("Any other error."),
    },
)


@router.post(
    "",
    status_code=201,
    response_model=NewApiKey,
    summary="Make an API key",
    response_description="The key, shown this once. `Location` is its address.",
    responses={201: json_example(EXAMPLE_NEW_KEY), 400: problem("A field that is not allowed.")},
)
def create_api_key(
    request: Annotated[ApiKeyRequest, Body(openapi_examples=request_examples(CREATE_EXAMPLES))],
    operations: FromApp,
    caller: FromCaller,
) -> Response:
    """Only its SHA-256 is kept: a key that is lost is replaced, not found again.

    The first key of a server comes from `driftgate keys create` there.
    """
    created = operations.api_keys.create(request, caller=caller)
    location = {"Location": f"/v1/api-keys/{created.api_key.id}"}
    return json_response(created, status_code=201, headers=UNCACHED | location)


@router.get(
    "",
    response_model=ApiKeyPage,
    summary="List API keys, newest first",
    responses={200: json_example(EXAMPLE_KEY_PAGE)},
)
def list_api_keys(
    operations: FromApp,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    page_token: PageToken = None,
) -> Response:
    """Revoked and expired ones among them; never a key itself."""
    return json_response(operations.api_keys.list_keys(limit=page_size, page_token=page_token))


# Not below the collection, so that no id can be taken for it.
@router.get(
    ":current",
    response_model=CurrentCaller,
    summary="What the key of this request may do",
    responses={200: json_example(EXAMPLE_CALLER)},
)
async def get_current_caller(caller: FromCaller) -> Response:
    """For a key of any scope: its scope, and its limits with the server's own filled in."""
    return json_response(current_caller(caller))


@router.get(
    "/{key_id:id}",
    response_model=ApiKey,
    summary="Get an API key",
    responses=NO_SUCH_KEY | {200: json_example(EXAMPLE_KEY)},
)
def get_api_key(key_id: KeyId, operations: FromApp) -> Response:
    """Its name, scope, limits and times; never the key itself."""
    return json_response(operations.api_keys.get(key_id))


@router.post(
    "/{key_id:id}:rotate",
    response_model=NewApiKey,
    summary="Replace an API key",
    response_description="The new key, shown this once.",
    responses=NO_SUCH_KEY
    | {
        200: json_example(EXAMPLE_NEW_KEY),
        400: problem("The key is revoked, or a field not allowed."),
    },
)
def rotate_api_key(
    key_id: KeyId,
    operations: FromApp,
    rotation: Annotated[
        ApiKeyRotation, Body(openapi_examples=request_examples(ROTATE_EXAMPLES))
    ] = ApiKeyRotation(),  # noqa: B008 frozen
) -> Response:
    """A new key of the same name, scope and limits; jobs, limits and idempotency keys go on under it.

    The earlier key ends after `grace_s`; until then it can be rotated again, should this answer be lost.
    """
    return json_response(operations.api_keys.rotate(key_id, rotation), headers=UNCACHED)


@router.delete(
    "/{key_id:id}",
    status_code=204,
    summary="Revoke an API key",
    response_description="Revoked; other server processes accept it for at most five seconds more.",
    responses=NO_SUCH_KEY,
)
def revoke_api_key(key_id: KeyId, operations: FromApp) -> None:
    """For good. Revoking it again changes nothing; the row stays, so that it can be told from no key."""
    operations.api_keys.revoke(key_id)
