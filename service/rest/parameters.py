"""What several endpoints take and answer in the same way."""

from typing import Annotated, Any

from fastapi import Path, Query, Request
from fastapi.params import Depends

from service.operations import Operations
from service.rest.problems import MEDIA_TYPE, ProblemDetails

MAX_COUNT = 2**53  # beyond it JavaScript cannot count


def problem(description: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _operations(request: Request) -> Operations:
    operations: Operations = request.app.state.operations
    return operations


FromApp = Annotated[Operations, Depends(_operations)]
JobId = Annotated[str, Path(description="32 hexadecimal digits.")]
AfterUpdate = Annotated[int, Query(ge=0, le=MAX_COUNT, description="Only updates after this one.")]

PageToken = Annotated[
    str | None, Query(max_length=1000, description="`next_page_token` of the page before.")
]

K = Annotated[int, Query(ge=1, le=4096, description="Of pass@k.")]
Stage = Annotated[
    str | None,
    Query(max_length=16, description="`baseline`, `step-0000025`, `final`, `teacher` or `model`."),
]

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: problem("No job has this id.")}
