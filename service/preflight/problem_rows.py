"""Rows of a file of problems, JSONL or Parquet, each with the name that messages give it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.allowed_text import allowed_text
from service.jobs.problem_sources import Problem

ALLOWED_ROWS = "one JSON object a line: `problem`, and for a benchmark `id` and `answer`"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
    """Rows of a JSONL file, of lines that are not blank, counted from 1 as an editor does; `name` stands for its path in
    messages. Raises DATASET_INVALID.
    """
    # Cut at newline bytes only: JSON text may hold the other line separators of Unicode.
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            row = row_of_line(number, line, name=name, field=field)
            if row is not None:
                yield row


def row_of_line(number: int, line: bytes, *, name: str, field: str) -> Row | None:
    """None of a blank line. Raises DATASET_INVALID, also where a key is there twice: either could be meant."""
    stripped = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).strip()
    if not stripped:
        return None
    place = line_place(number, name=name)
    try:
        content = json.loads(stripped.decode("utf-8"), object_pairs_hook=_object_of_pairs)
    except _RepeatedKeyError as error:
        raise invalid_row(
            place, f"has the key {error.key!r} twice", field=field, allowed="keys that differ"
        ) from None
    except (ValueError, RecursionError) as error:
        raise invalid_row(place, f"is not JSON in UTF-8 ({error})", field=field) from error
    if not isinstance(content, dict):
        raise invalid_row(place, "is not a JSON object", field=field)
    return Row(number, place, content)


def line_place(number: int, *, name: str) -> str:
    return f"Line {number} of {name!r}"


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
        first = error.errors(include_url=False)[0]
        part = ".".join(str(key) for key in first["loc"])
        raise invalid_row(
            place, f"has a wrong `{part}`; allowed: {allowed_text(first)}", field=field
        ) from error


def problem_of_row(row: Row, *, field: str, graded: bool) -> PlacedProblem:
    """Only `id`, `problem` and `answer` are read; a set to train on may leave out the id.

    Raises DATASET_INVALID naming the part that is missing or wrong.
    """
    for key in ("problem", "id", "answer") if graded else ("problem",):
        if row.content.get(key) is None or row.content[key] == "":
            raise invalid_row(row.place, f"has no `{key}`", field=field)
    own_id = row.content.get("id")
    problem = make_problem(
        row.place,
        field=field,
        id=f"line-{row.number}" if own_id is None else _text_of_integer(own_id),
        problem=row.content["problem"],
        answer=_text_of_integer(row.content.get("answer")),
    )
    return PlacedProblem(row.place, problem)


def check_id_is_not_blank(one: PlacedProblem, *, field: str) -> None:
    if not one.problem.id.strip():
        raise invalid_row(one.place, "has an empty `id`", field=field)


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


class _RepeatedKeyError(Exception):
    """key: cut to what a message shows of it."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key[:100]


def _object_of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _RepeatedKeyError(key)
    return content


def _text_of_integer(value: object) -> object:
    """Integers as decimal text; everything else as it is, for the model to judge."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unreadable(name: str, reason: str, *, field: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.DATASET_INVALID,
        f"{name!r} of {field} {reason}.",
        [Violation(field, name, "a Parquet file, and pyarrow to read it")],
    )
