"""Checks of a problem set while it arrives, in memory that does not grow with its texts."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from service.errors import DriftgateError, Violation
from service.preflight.problem_rows import (
    PlacedProblem,
    check_id_is_not_blank,
    invalid_row,
    line_place,
    mid_sentence,
    problem_of_row,
    row_of_line,
)

MAX_LINE_BYTES = 2 * 2**20  # the longest problem, every character of it escaped, takes 1.2 million
MAX_LINES = 1_000_000
HASH_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class ProblemCounts:
    """num_answers: problems that have an answer."""

    num_problems: int
    num_answers: int


def count_problems(chunks: Iterable[bytes], *, name: str, field: str) -> ProblemCounts:
    """Problems of JSONL in pieces, each row as good as one to train on, ids unique.

    name: stands for the set in messages. Reads every chunk, each only when the one before is checked.
    Raises DATASET_INVALID naming the line that is wrong, in the violation as `content.3` where the field is
    `content`.
    """
    # 16 bytes a problem, whatever the ids are. Two that differ meet in 64 bits once in 10^7 full sets.
    id_hashes, numbers, num_answers = array("Q"), array("Q"), 0
    for number, line in enumerate(_lines(chunks, name=name, field=field), start=1):
        try:
            one = _problem_of_line(number, line, name=name, field=field)
        except DriftgateError as error:
            raise _at_line(number, error) from error
        if one is None:
            continue
        id_hashes.append(hash(one.problem.id) & HASH_MASK)
        numbers.append(number)
        num_answers += one.problem.answer is not None
    if not numbers:
        raise invalid_row(repr(name), "has no problem", field=field)
    _check_ids_differ(id_hashes, numbers, name=name, field=field)
    return ProblemCounts(num_problems=len(numbers), num_answers=num_answers)


def _problem_of_line(number: int, line: bytes, *, name: str, field: str) -> PlacedProblem | None:
    row = row_of_line(number, line, name=name, field=field)
    if row is None:
        return None
    one = problem_of_row(row, field=field, graded=False)
    check_id_is_not_blank(one, field=field)
    return one


def _at_line(number: int, error: DriftgateError) -> DriftgateError:
    """The error with the line as the last part of its field."""
    violations = [
        Violation(f"{one.field}.{number}", one.given, one.allowed) for one in error.violations
    ]
    return DriftgateError(error.code, error.message, violations)


def _lines(chunks: Iterable[bytes], *, name: str, field: str) -> Iterator[bytes]:
    """Cut at newline bytes, as a file is. Raises DATASET_INVALID for a line or a set that is too long."""
    number, rest = 1, bytearray()
    for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            _check_line(number, len(rest) + end - start, name=name, field=field)
            yield bytes(rest) + chunk[start:end]
            rest.clear()
            start, number = end + 1, number + 1
        rest += chunk[start:]
        if rest:
            _check_line(number, len(rest), name=name, field=field)
    yield bytes(rest)


def _check_line(number: int, num_bytes: int, *, name: str, field: str) -> None:
    if number > MAX_LINES:
        raise invalid_row(
            repr(name),
            f"has more than {MAX_LINES:,} lines",
            field=field,
            allowed=f"at most {MAX_LINES:,} lines",
        )
    if num_bytes > MAX_LINE_BYTES:
        too_long = invalid_row(
            line_place(number, name=name),
            f"has more than {MAX_LINE_BYTES:,} bytes",
            field=field,
            allowed=f"lines of at most {MAX_LINE_BYTES:,} bytes",
        )
        raise _at_line(number, too_long)


def _check_ids_differ(
    id_hashes: "array[int]", numbers: "array[int]", *, name: str, field: str
) -> None:
    hashes = np.frombuffer(id_hashes, dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    is_repeated = hashes[order][1:] == hashes[order][:-1]
    if not is_repeated.any():
        return
    positions = order[1:][is_repeated]
    position = int(positions.min())
    first = int(np.flatnonzero(hashes == hashes[position])[0])
    raise _repeated_id(numbers[position], numbers[first], name=name, field=field)


def _repeated_id(number: int, first: int, *, name: str, field: str) -> DriftgateError:
    repeated = invalid_row(
        line_place(number, name=name),
        f"has the id of {mid_sentence(line_place(first, name=name))} again, but results are kept by id",
        field=field,
        allowed="ids that differ",
    )
    return _at_line(number, repeated)
