"""Places in a list as opaque text: where the next page begins."""

import base64
import json
from collections.abc import Sequence

from service.errors import DriftgateError, ErrorCode, Violation


def page_token(place: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode()


def place_of_token(token: str, *, types: Sequence[type]) -> list[str | int]:
    """What `page_token` put in. Raises INVALID_ARGUMENT for anything else."""
    try:
        place = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or [type(part) for part in place] != list(types):
        raise foreign_token(token)
    return place


def foreign_token(token: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        "page_token is not one that this list returned. Leave it out to start again.",
        [Violation("page_token", token[:100], "next_page_token of the previous page")],
    )
