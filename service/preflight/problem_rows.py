"""Rows of a file of problems, JSONL or Parquet, each with the name that messages give it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.problem_sources import Problem

ALLOWED_ROWS = "one JSON object a line: `problem`, and for a benchmark `id` and `answer`"


@dataclass(frozen=True, slots=True)
class Row:
    """number: from 1, of a line as an editor counts it. place: such as `Line 3 of 'set.jsonl'`."""

    number: int
    place: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlacedProblem:
    """A problem and where it stands, as a message begins: `Line 3 of 'set.jsonl'`."""

    place: str
    problem: Problem


def read_json_rows(path: Path, *, name: str, field: str) -> Iterator[Row]:
    """Rows of a JSONL file; `name` stands for its path in messages. Raises DATASET_INVALID."""
    for number, line in _numbered_lines(path):
        place = f"Line {number} of {name!r}"
        try:
            content = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise invalid_row(place, f"is not JSON in UTF-8 ({error})", field=field) from error
        if not isinstance(content, dict):
            raise invalid_row(place, "is not a JSON object", field=field)
        yield Row(number, place, content)


def read_parquet_rows(path: Path, *, name: str, field: str) -> Iterator[Row]:
    """Rows of a Parquet file. Raises DATASET_INVALID, also where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: PLC0415 170 MB that only a worker has
        from pyarrow.lib import ArrowException  # noqa: PLC0415
    except ImportError as error:
        raise _unreadable(name, "needs pyarrow: install driftgate[worker]", field=field) from error
    try:
        contents = pyarrow.parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise _unreadable(name, f"cannot be read as Parquet ({error})", field=field) from error
    for number, content in enumerate(contents, start=1):
        yield Row(number, f"Row {number} of {name!r}", content)


def make_problem(place: str, *, field: str, **parts: object) -> Problem:
    """The problem of these parts. Raises DATASET_INVALID naming the part that is wrong."""
    try:
        return Problem.model_validate(parts)
    except ValidationError as error:
        first = error.errors()[0]
        part = ".".join(str(key) for key in first["loc"])
        raise invalid_row(place, f"has a wrong `{part}`: {first['msg']}", field=field) from error


def mid_sentence(place: str) -> str:
    """The place as it is named inside a sentence: `line 3 of 'set.jsonl'`."""
    return place[:1].lower() + place[1:]


def invalid_row(
    place: str, reason: str, *, field: str, allowed: str = ALLOWED_ROWS
) -> DriftgateError:
    """DATASET_INVALID: `Line 3 of 'set.jsonl' (prompts.problems) has no answer.`"""
    return DriftgateError(
        ErrorCode.DATASET_INVALID,
        f"{place} ({field}) {reason}.",
        [Violation(field, place, allowed)],
    )


def _numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, counted from 1 as an editor does. Cut at newline bytes only: JSON
    text may hold the other line separators of Unicode.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            stripped = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
            if stripped:
                yield number, stripped


def _unreadable(name: str, reason: str, *, field: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.DATASET_INVALID,
        f"{name!r} of {field} {reason}.",
        [Violation(field, name, "a Parquet file, and pyarrow to read it")],
    )
