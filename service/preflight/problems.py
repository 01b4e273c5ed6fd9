"""Problem sets: generated, read from a JSONL file, or given inline; every one checked the same way."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.arithmetic import arithmetic_problems
from service.jobs.spec import ArithmeticSource, FileSource, Problem, ProblemSource


def load_problems(
    source: ProblemSource, *, dataset_root: Path, split: str, field: str, graded: bool
) -> tuple[Problem, ...]:
    """Problems in the source's order, at least one, ids unique.

    split: `training` or `held-out`; separates the streams of an arithmetic source.
    field: the part of the spec that holds the source, for messages.
    graded: answers are needed, and in a file ids too.
    Raises DATASET_NOT_FOUND, DATASET_OUTSIDE_ROOT, DATASET_INVALID (a file's line is named) or, where
    problems to train on are missing, PROMPTS_EMPTY.
    """
    if isinstance(source, ArithmeticSource):
        check_arithmetic_size(source, field=field)
        problems = arithmetic_problems(source, split=split)
        if len(problems) < source.num_problems:
            raise _too_few_distinct(source, len(problems), field=field)
        return problems
    if isinstance(source, FileSource):
        problems = _read_file(source, dataset_root=dataset_root, field=field, graded=graded)
    else:
        problems = source.problems
    if not problems:
        raise DriftgateError(
            ErrorCode.DATASET_INVALID if graded else ErrorCode.PROMPTS_EMPTY,
            f"{field} has no problem. Give at least one.",
            [Violation(field, "0 problems", "at least 1 problem")],
        )
    _check_ids_differ(problems, field=field)
    if graded:
        _check_answers(problems, field=field)
    return problems


def check_arithmetic_size(source: ArithmeticSource, *, field: str) -> None:
    """Raises DATASET_INVALID where fewer distinct problems exist than are asked for."""
    lengths = range(source.min_operations, source.max_operations + 1)
    # A start digit, then one of two operators and ten digits each time.
    num_distinct = sum(10 * 20**num_operations for num_operations in lengths)
    if num_distinct < source.num_problems:
        raise _too_few_distinct(source, num_distinct, field=field)


def problems_sha256(problems: Sequence[Problem]) -> str:
    """Hex digest of the problems in order, one canonical JSON line of id, problem and answer each."""
    digest = hashlib.sha256()
    for problem in problems:
        line = json.dumps(
            {"answer": problem.answer, "id": problem.id, "problem": problem.problem},
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _too_few_distinct(source: ArithmeticSource, num_distinct: int, *, field: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.DATASET_INVALID,
        f"{field}.num_problems is {source.num_problems:,}, but with {source.min_operations} to "
        f"{source.max_operations} operations only {num_distinct:,} distinct problems were found. "
        "Ask for fewer, or raise max_operations.",
        [Violation(f"{field}.num_problems", f"{source.num_problems}", f"at most {num_distinct}")],
    )


def _read_file(
    source: FileSource, *, dataset_root: Path, field: str, graded: bool
) -> tuple[Problem, ...]:
    path = _path_below(dataset_root, source.path, field=field)
    return tuple(
        _parse_line(line, number=number, path=source.path, field=field, graded=graded)
        for number, line in _numbered_lines(path)
    )


def _path_below(dataset_root: Path, given: str, *, field: str) -> Path:
    root = Path(os.path.realpath(dataset_root))
    path = Path(os.path.realpath(root / given))
    if not path.is_relative_to(root):
        raise DriftgateError(
            ErrorCode.DATASET_OUTSIDE_ROOT,
            f"{field}.path {given!r} leads out of the dataset root, and data sets are read only "
            "below it (DRIFTGATE_DATASET_ROOT).",
            [Violation(f"{field}.path", given, "a file below the dataset root")],
        )
    if not os.path.isfile(path):  # noqa: PTH113 Path.is_file raises for names too long
        raise DriftgateError(
            ErrorCode.DATASET_NOT_FOUND,
            f"{field}.path {given!r} is no file below the dataset root (DRIFTGATE_DATASET_ROOT). "
            "Put the JSONL file there.",
            [Violation(f"{field}.path", given, "an existing file below the dataset root")],
        )
    return path


def _numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, counted from 1 as an editor does. Cut at newline bytes only: JSON
    text may hold the other line separators of Unicode.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            stripped = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
            if stripped:
                yield number, stripped


def _parse_line(line: bytes, *, number: int, path: str, field: str, graded: bool) -> Problem:
    """Only `id`, `problem` and `answer` are read; a set to train on may leave out the id."""
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad_line(number, f"is not JSON in UTF-8 ({error})", path, field) from error
    if not isinstance(row, dict):
        raise _bad_line(number, "is not a JSON object", path, field)
    for key in ("problem", "id", "answer") if graded else ("problem",):
        if row.get(key) is None or row[key] == "":
            raise _bad_line(number, f"has no `{key}`", path, field)
    identifier = f"line-{number}" if row.get("id") is None else row["id"]
    try:
        return Problem(
            id=_text_of_integer(identifier),
            problem=row["problem"],
            answer=_text_of_integer(row.get("answer")),
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise _bad_line(number, f"has a wrong `{key}`: {first['msg']}", path, field) from error


def _text_of_integer(value: object) -> object:
    """Integers as decimal text; everything else as it is, for the model to judge."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _bad_line(number: int, reason: str, path: str, field: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.DATASET_INVALID,
        f"Line {number} of {path!r} ({field}) {reason}.",
        [
            Violation(
                f"{field}.path",
                f"{path}, line {number}",
                "one JSON object a line: `problem`, and for a benchmark `id` and `answer`",
            )
        ],
    )


def _check_ids_differ(problems: Sequence[Problem], *, field: str) -> None:
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise DriftgateError(
                ErrorCode.DATASET_INVALID,
                f"The id {problem.id!r} stands more than once in {field}. Results are kept by id, so "
                "ids must differ.",
                [Violation(field, problem.id, "ids that differ")],
            )
        seen.add(problem.id)


def _check_answers(problems: Sequence[Problem], *, field: str) -> None:
    for problem in problems:
        if not problem.answer or not problem.answer.strip():
            raise DriftgateError(
                ErrorCode.DATASET_INVALID,
                f"Problem {problem.id!r} of {field} has no answer, and without one its samples "
                "cannot be graded.",
                [Violation(field, f"{problem.id} without answer", "an answer for every problem")],
            )
