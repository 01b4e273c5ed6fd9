"""Places in a list as opaque text: where the next page begins, and of which list."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from service.errors import DriftgateError, ErrorCode, Violation

# Databases hold no larger integers.
MAX_INTEGER = 2**63 - 1


class PagedList:
    """A list as its page tokens know it: what it is of, its filters and its order.

    A place in one list means nothing in another, so the token of another is refused. The size of a page is not
    part of it: it may change from page to page.
    """

    def __init__(self, name: str, **query: object) -> None:
        canonical = json.dumps([name, query], sort_keys=True, default=str)
        self._sha256 = hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def token(self, *place: str | int) -> str:
        """Names the place where a page ends. It holds the start of a hash of the query, so it stays short."""
        return text_of_place([self._sha256, *place])

    def token_of_time(self, at: datetime, row_id: str) -> str:
        return self.token(at.isoformat(), row_id)

    def place(self, token: str, *, types: Sequence[type]) -> list[str | int]:
        """What `token` put in. Raises INVALID_ARGUMENT for anything else."""
        try:
            sha256, *place = place_of_text(token, types=(str, *types))
        except ValueError:
            raise _foreign_token(token) from None
        if sha256 != self._sha256:
            raise _foreign_token(token)
        return place

    def row_id(self, token: str, *, is_id: Callable[[str], bool]) -> str:
        """Of a list whose places are ids. Raises INVALID_ARGUMENT for a foreign token."""
        (row_id,) = map(str, self.place(token, types=(str,)))
        if not is_id(row_id):
            raise _foreign_token(token)
        return row_id

    def time_and_id(self, token: str, *, is_id: Callable[[str], bool]) -> tuple[datetime, str]:
        """What `token_of_time` put in, in UTC. Raises INVALID_ARGUMENT for a foreign token."""
        at, row_id = map(str, self.place(token, types=(str, str)))
        try:
            time = datetime.fromisoformat(at).astimezone(UTC)
        except (ValueError, OverflowError):
            raise _foreign_token(token) from None
        if not is_id(row_id):
            raise _foreign_token(token)
        return time, row_id


def text_of_place(place: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode()


def place_of_text(text: str, *, types: Sequence[type]) -> list[str | int]:
    """What `text_of_place` was given, if a database can compare it. Raises ValueError for anything else."""
    try:
        place = json.loads(base64.urlsafe_b64decode(text.encode()))
    except RecursionError as error:
        raise ValueError(text) from error
    if not isinstance(place, list) or [type(part) for part in place] != list(types):
        raise ValueError(text)
    if not all(map(_is_storable, place)):
        raise ValueError(text)
    return place


def _foreign_token(token: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        "page_token is not one that this list returned for this query. Leave it out to start again.",
        [Violation("page_token", token[:100], "next_page_token of the previous page")],
    )


def _is_storable(part: str | int) -> bool:
    """PostgreSQL takes no NUL in text, and no database a lone surrogate."""
    if isinstance(part, int):
        return abs(part) <= MAX_INTEGER
    return "\0" not in part and part.encode(errors="replace").decode() == part
