"""Problem sets: generated, published, read from a JSONL file, or given inline; every one checked."""

import os
from collections.abc import Sequence
from pathlib import Path

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.arithmetic import arithmetic_problems
from service.jobs.evaluation_spec import BenchmarkSpec
from service.jobs.problem_sources import (
    PUBLISHED_BENCHMARKS,
    ArithmeticSource,
    FileSource,
    InlineSource,
    Problem,
    ProblemSource,
    PublishedSet,
    PublishedSource,
)
from service.preflight.answers import ALLOWED_ANSWER, answer_fault
from service.preflight.problem_rows import (
    PlacedProblem,
    Row,
    invalid_row,
    make_problem,
    mid_sentence,
    read_json_rows,
)
from service.preflight.published import load_published, match_problems
from service.settings import Settings


def load_problems(
    source: ProblemSource, *, settings: Settings, split: str, field: str, graded: bool
) -> tuple[Problem, ...]:
    """Problems in the source's order, at least one, ids unique.

    split: `training` or `held-out`; separates the streams of an arithmetic source.
    field: the part of the spec that holds the source, for messages.
    graded: answers are needed, and in a file ids too.
    Raises DATASET_NOT_FOUND, DATASET_OUTSIDE_ROOT, DATASET_INVALID (a file's line is named),
    HUB_UNAVAILABLE or, where problems to train on are missing, PROMPTS_EMPTY.
    """
    if isinstance(source, ArithmeticSource):
        check_arithmetic_size(source, field=field)
        problems = arithmetic_problems(source, split=split)
        if len(problems) < source.num_problems:
            raise _too_few_distinct(source, len(problems), field=field)
        return problems
    placed = _placed_problems(source, settings=settings, field=field, graded=graded)
    return tuple(one.problem for one in placed)


def load_benchmark(
    benchmark: BenchmarkSpec, *, settings: Settings, field: str
) -> tuple[Problem, ...]:
    """The benchmark's problems, graded; `field` is the part of the spec that holds their source.

    Under the name of a published benchmark these are the published problems, in their order and under
    their ids. Raises as `load_problems` does.
    """
    check_benchmark_name(benchmark, field=field)
    source = benchmark.problems
    if benchmark.name not in PUBLISHED_BENCHMARKS or isinstance(source, PublishedSource):
        return load_problems(source, settings=settings, split="held-out", field=field, graded=True)
    assert not isinstance(source, ArithmeticSource)
    placed = _placed_problems(source, settings=settings, field=field, graded=True)
    given = source.path if isinstance(source, FileSource) else "problems"
    return match_problems(placed, name=PublishedSet(benchmark.name), given=given, field=field)


def check_benchmark_name(benchmark: BenchmarkSpec, *, field: str) -> None:
    """Raises DATASET_INVALID for a source that cannot be what the published name says."""
    name, source = benchmark.name, benchmark.problems
    if name not in PUBLISHED_BENCHMARKS:
        return
    if isinstance(source, PublishedSource) and source.name != name:
        given = f"the published set '{source.name}'"
    elif isinstance(source, ArithmeticSource):
        given = "chained arithmetic"
    else:
        return
    raise DriftgateError(
        ErrorCode.DATASET_INVALID,
        f"{field} is {given}, but under the name '{name}' only its published problems are taken. "
        "Leave problems out, or give the benchmark another name.",
        [Violation(field, given, f"the published problems of {name}")],
    )


def check_arithmetic_size(source: ArithmeticSource, *, field: str) -> None:
    """Raises DATASET_INVALID where fewer distinct problems exist than are asked for."""
    lengths = range(source.min_operations, source.max_operations + 1)
    # A start digit, then one of two operators and ten digits each time.
    num_distinct = sum(10 * 20**num_operations for num_operations in lengths)
    if num_distinct < source.num_problems:
        raise _too_few_distinct(source, num_distinct, field=field)


def _too_few_distinct(source: ArithmeticSource, num_distinct: int, *, field: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.DATASET_INVALID,
        f"{field}.num_problems is {source.num_problems:,}, but with {source.min_operations} to "
        f"{source.max_operations} operations only {num_distinct:,} distinct problems were found. "
        "Ask for fewer, or raise max_operations.",
        [Violation(f"{field}.num_problems", f"{source.num_problems}", f"at most {num_distinct}")],
    )


def _placed_problems(
    source: FileSource | InlineSource | PublishedSource,
    *,
    settings: Settings,
    field: str,
    graded: bool,
) -> Sequence[PlacedProblem]:
    """Checked problems of a source that is not generated."""
    match source:
        case FileSource():
            path = _path_below(settings.resolved_dataset_root(), source.path, field=field)
            rows = read_json_rows(path, name=source.path, field=field)
            placed = [_read_row(row, field=field, graded=graded) for row in rows]
        case PublishedSource():
            problems = load_published(source.name, settings=settings, field=field)
            placed = [PlacedProblem(f"Problem {one.id!r}", one) for one in problems]
        case InlineSource():
            placed = [
                PlacedProblem(f"Problem {number}", problem)
                for number, problem in enumerate(source.problems, start=1)
            ]
    if not placed:
        raise DriftgateError(
            ErrorCode.DATASET_INVALID if graded else ErrorCode.PROMPTS_EMPTY,
            f"{field} has no problem. Give at least one.",
            [Violation(field, "0 problems", "at least 1 problem")],
        )
    _check_ids(placed, field=field)
    if graded:
        _check_answers(placed, field=field)
    return placed


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


def _read_row(row: Row, *, field: str, graded: bool) -> PlacedProblem:
    """Only `id`, `problem` and `answer` are read; a set to train on may leave out the id."""
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


def _text_of_integer(value: object) -> object:
    """Integers as decimal text; everything else as it is, for the model to judge."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_ids(placed: Sequence[PlacedProblem], *, field: str) -> None:
    place_of: dict[str, str] = {}
    for one in placed:
        problem_id = one.problem.id
        if not problem_id.strip():
            raise invalid_row(one.place, "has an empty `id`", field=field)
        if problem_id in place_of:
            raise invalid_row(
                one.place,
                f"has the id {problem_id!r} of {mid_sentence(place_of[problem_id])} again, but results "
                "are kept by id",
                field=field,
                allowed="ids that differ",
            )
        place_of[problem_id] = one.place


def _check_answers(placed: Sequence[PlacedProblem], *, field: str) -> None:
    for one in placed:
        fault = answer_fault(one.problem.answer)
        if fault is not None:
            raise invalid_row(
                f"{one.place} with id {one.problem.id!r}",
                fault,
                field=field,
                allowed=ALLOWED_ANSWER,
            )
