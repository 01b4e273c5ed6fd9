"""Which models the type of a field names."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model of the type, the members of its unions and the elements of its lists among them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
