"""Examples of JSON bodies on their way into the OpenAPI description.

FastAPI leaves every null out of a description, those of its examples too. So examples pass through it as text.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi.openapi.models import Example
from pydantic_core import to_json

JSON = "application/json"


def json_example(example: object) -> dict[str, Any]:
    """The body of a response; views of the contract are shown as they would be sent."""
    return {"content": {JSON: {"example": _text(example)}}}


def request_examples(examples: Mapping[str, Example]) -> dict[str, Example]:
    """The same examples for `Body(openapi_examples=…)`."""
    return {name: {**one, "value": _text(one["value"])} for name, one in examples.items()}


def put_values_in(description: dict[str, Any]) -> None:
    """Makes of every example the value that its text stands for."""
    for media in _json_bodies(description):
        if "example" in media:
            media["example"] = json.loads(media["example"])
        for one in media.get("examples", {}).values():
            one["value"] = json.loads(one["value"])


def _text(example: object) -> str:
    return to_json(example).decode()


def _json_bodies(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for addresses in (description["paths"], description["webhooks"]):
        for operations in addresses.values():
            for operation in operations.values():
                bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
                yield from (
                    body["content"][JSON] for body in bodies if JSON in body.get("content", {})
                )
