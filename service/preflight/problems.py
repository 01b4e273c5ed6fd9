"""Problem sets: generated, published, uploaded, read from a JSONL file, or given inline; all checked."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.arithmetic import arithmetic_problems
from service.jobs.evaluation_spec import BenchmarkSpec
from service.jobs.problem_sources import (
    PUBLISHED_BENCHMARKS,
    ArithmeticSource,
    DatasetSource,
    FileSource,
    InlineSource,
    Problem,
    ProblemSource,
    PublishedSet,
    PublishedSource,
)
from service.preflight.answers import ALLOWED_ANSWER, answer_fault
from service.preflight.problem_files import find_dataset
from service.preflight.problem_rows import (
    PlacedProblem,
    check_id_is_not_blank,
    invalid_row,
    mid_sentence,
    problem_of_row,
    read_json_rows,
)
from service.preflight.published import load_published, match_problems
from service.settings import Settings

MAX_REMEMBERED_PROBLEMS = 10_000


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
        is_small = source.num_problems <= MAX_REMEMBERED_PROBLEMS
        generate = _remembered_arithmetic_problems if is_small else arithmetic_problems
        problems = generate(source, split=split)
        if len(problems) < source.num_problems:
            raise _too_few_distinct(source, len(problems), field=field)
        return problems
    placed = _placed_problems(source, settings=settings, field=field, graded=graded)
    return tuple(one.problem for one in placed)


@lru_cache(maxsize=16)
def _remembered_arithmetic_problems(source: ArithmeticSource, *, split: str) -> tuple[Problem, ...]:
    """Every submission of a sweep asks for the same ones."""
    return arithmetic_problems(source, split=split)


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
    name = PublishedSet(benchmark.name)
    return match_problems(placed, name=name, given=_name_of(source), field=field)


def _name_of(source: FileSource | InlineSource | DatasetSource) -> str:
    match source:
        case FileSource():
            return source.path
        case DatasetSource():
            return source.dataset_id
        case InlineSource():
            return "problems"


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
    source: FileSource | InlineSource | PublishedSource | DatasetSource,
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
            placed = [problem_of_row(row, field=field, graded=graded) for row in rows]
        case DatasetSource():
            path = find_dataset(source, settings=settings, field=field)
            rows = read_json_rows(path, name=source.dataset_id, field=field)
            placed = [problem_of_row(row, field=field, graded=graded) for row in rows]
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


def _check_ids(placed: Sequence[PlacedProblem], *, field: str) -> None:
    place_of: dict[str, str] = {}
    for one in placed:
        problem_id = one.problem.id
        check_id_is_not_blank(one, field=field)
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
