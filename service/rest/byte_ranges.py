"""The header `Range` of a file's download: what can be read, and what lies in the file."""

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.shown_input import shown
from service.rest.problems import problem_response

RANGE_UNIT = "bytes"
RANGE = re.compile(r"([0-9]+)-([0-9]*)|-([0-9]+)")
MAX_RANGES = 100


def _readable_range(
    value: Annotated[
        str | None,
        Header(
            alias="Range",
            # Also what keeps a number short enough for int().
            max_length=1000,
            description="Such as `bytes=0-1023`. Units other than `bytes` are ignored.",
        ),
    ] = None,
) -> str | None:
    """The header; None where it is of another unit, which is to be ignored (RFC 9110, 14.2).

    Raises INVALID_ARGUMENT for what cannot be read.
    """
    if value is None:
        return None
    unit, equals, _ = value.partition("=")
    is_of_bytes = unit.lower() == RANGE_UNIT
    if unit and equals and not is_of_bytes:
        return None
    matches = [RANGE.fullmatch(each) for each in _ranges(value)]
    is_readable = is_of_bytes and 0 < len(matches) <= MAX_RANGES
    if not is_readable or not all(match and _is_forward(match) for match in matches):
        allowed = f"bytes=FIRST-LAST, up to {MAX_RANGES} of them with commas"
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"Range: given {shown(value)}, allowed: {allowed}.",
            [Violation("range", shown(value), allowed)],
        )
    return value


ReadableRange = Annotated[str | None, Depends(_readable_range)]


def satisfiable(asked: str, *, size_bytes: int) -> str | None:
    """A header that can be read, without the ranges that have no byte of the file; None where none is left."""
    within = [
        each for each in _ranges(asked) if _first_byte(each, size_bytes=size_bytes) < size_bytes
    ]
    return f"{RANGE_UNIT}={','.join(within)}" if within else None


def range_refused(asked: str, *, size_bytes: int) -> Response:
    """416, with the size by which a client that goes on sees that it has the whole file."""
    refusal = DriftgateError(
        ErrorCode.RANGE_NOT_SATISFIABLE,
        f"Range: given {asked[:100]!r}, but the file has {size_bytes:,} bytes.",
        [Violation("range", asked[:100], f"ranges that begin before byte {size_bytes}")],
    )
    return problem_response(refusal, headers={"Content-Range": f"bytes */{size_bytes}"})


def _ranges(value: str) -> list[str]:
    """Without the empty elements that a list may have (RFC 9110, 5.6.1.2)."""
    stripped = [each.strip() for each in value.partition("=")[2].split(",")]
    return [each for each in stripped if each]


def _first_byte(one: str, *, size_bytes: int) -> int:
    first, _, last = one.partition("-")
    return int(first) if first else max(0, size_bytes - int(last))


def _is_forward(match: re.Match[str]) -> bool:
    first, last, _ = match.groups()
    return not first or not last or int(first) <= int(last)
