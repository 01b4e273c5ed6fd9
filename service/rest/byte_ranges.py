"""The header `Range` of a file's download: what can be read, and what lies in the file."""

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.shown_input import shown
from service.rest.problems import problem_response

RANGE_UNIT = "bytes="
RANGE = re.compile(r"([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18})")
MAX_RANGES = 100


def _readable_range(
    value: Annotated[
        str | None,
        Header(alias="Range", max_length=1000, description="Such as `bytes=0-1023`."),
    ] = None,
) -> str | None:
    """The header. Raises INVALID_ARGUMENT for what the response could not read."""
    parts = (value or "bytes=0-").removeprefix(RANGE_UNIT).split(",")
    matches = [RANGE.fullmatch(part.strip()) for part in parts]
    is_readable = value is None or (value.startswith(RANGE_UNIT) and len(parts) <= MAX_RANGES)
    if not is_readable or not all(match and _is_forward(match) for match in matches):
        allowed = f"bytes=FIRST-LAST, up to {MAX_RANGES} of them with commas"
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"Range: given {shown(value)}, allowed: {allowed}.",
            [Violation("range", shown(value), allowed)],
        )
    return value


ReadableRange = Annotated[str | None, Depends(_readable_range)]


def is_beyond_end(asked: str, *, size_bytes: int) -> bool:
    """Whether one of the ranges of a header that can be read has no byte of the file."""
    ranges = asked.removeprefix(RANGE_UNIT).split(",")
    return any(_first_byte(each.strip(), size_bytes=size_bytes) >= size_bytes for each in ranges)


def range_refused(asked: str, *, size_bytes: int) -> Response:
    """416, with the size by which a client that goes on sees that it has the whole file."""
    refusal = DriftgateError(
        ErrorCode.RANGE_NOT_SATISFIABLE,
        f"Range: given {asked[:100]!r}, but the file has {size_bytes:,} bytes.",
        [Violation("range", asked[:100], f"ranges that begin before byte {size_bytes}")],
    )
    return problem_response(refusal, headers={"Content-Range": f"bytes */{size_bytes}"})


def _first_byte(one: str, *, size_bytes: int) -> int:
    first, _, last = one.partition("-")
    return int(first) if first else max(0, size_bytes - int(last))


def _is_forward(match: re.Match[str]) -> bool:
    first, last, _ = match.groups()
    return not first or not last or int(first) <= int(last)
