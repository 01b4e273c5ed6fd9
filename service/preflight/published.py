"""Published problem sets by name: from the folder of benchmarks or the hub, verified by their text.

The benchmarks are compared problem by problem, so a copy may be in any order and have any ids. The
training sets GSM8K and MATH are compared as a whole, in their published order. DAPO-Math-17k is only
counted: no copy was at hand to take hashes of.
"""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.problem_sources import PUBLISHED_BENCHMARKS, Problem, PublishedSet
from service.jobs.problem_text import normalised_text
from service.preflight.hub import fetch_dataset_file
from service.preflight.problem_hashes import (
    answered_problem_sha256,
    normalised_answer,
    problems_sha256,
)
from service.preflight.problem_rows import (
    PlacedProblem,
    invalid_row,
    make_problem,
    mid_sentence,
    read_json_rows,
    read_parquet_rows,
)
from service.preflight.published_catalogue import (
    PUBLICATIONS,
    Publication,
    Verification,
    problem_hashes,
    set_sha256,
)
from service.settings import Settings

# Counts of unique prompts that DAPO-Math-17k may have, by how its publishers tell prompts apart.
DAPO_COUNTS = range(17_000, 17_501)


def load_published(name: PublishedSet, *, settings: Settings, field: str) -> tuple[Problem, ...]:
    """The set's problems under their canonical ids, answers normalised.

    Texts are those of the source but for whitespace at their ends, so copies may differ in line breaks.
    Raises DATASET_INVALID for a copy that is not the published set, DATASET_NOT_FOUND where there is
    none, and HUB_UNAVAILABLE.
    """
    publication = PUBLICATIONS[name]
    path, given = _locate(name, publication, settings=settings, field=field)
    placed = _placed_problems(name, publication, path=path, given=given, field=field)
    match publication.verification:
        case Verification.EACH_PROBLEM:
            return match_problems(tuple(placed), name=name, given=given, field=field)
        case Verification.WHOLE_SET:
            problems = tuple(one.problem for one in placed)
            _check_whole_set(problems, name=name, given=given, field=field)
        case Verification.COUNT:
            problems = _distinct(name, (one.problem for one in placed))
            _check_count(problems, name=name, given=given, field=field)
    return problems


def is_left_to_worker(name: PublishedSet, *, settings: Settings) -> bool:
    """Whether a submission does not wait for the set, which then fails in the worker if it must.

    A submission reads a copy in the folder and fetches a benchmark, which is small; it fetches no
    training set, and nothing in Parquet where pyarrow is away.
    """
    publication = PUBLICATIONS[name]
    if publication.hub_file is None or _local_copy(publication, settings) is not None:
        return False
    if name not in PUBLISHED_BENCHMARKS:
        return True
    is_parquet = publication.hub_file.path.endswith(".parquet")
    return is_parquet and importlib.util.find_spec("pyarrow") is None


def has_local_copy(name: PublishedSet, *, settings: Settings) -> bool:
    """Whether the folder of benchmarks has a file for the set; whether it is the right one shows when read."""
    return _local_copy(PUBLICATIONS[name], settings) is not None


def match_problems(
    placed: Sequence[PlacedProblem], *, name: PublishedSet, given: str, field: str
) -> tuple[Problem, ...]:
    """The problems under the ids of the published benchmark and in its order, whatever theirs are.

    Raises DATASET_INVALID naming the first row that is altered or double, or an id that is missing.
    """
    ids = {sha256: problem_id for problem_id, sha256 in problem_hashes(name).items()}
    found: dict[str, PlacedProblem] = {}
    for one in placed:
        sha256 = answered_problem_sha256(one.problem)
        if sha256 not in ids:
            raise _not_published(
                one.place,
                f"is none of the {len(ids)} problems of {name}: its problem or answer differs from the "
                "published",
                name=name,
                field=field,
            )
        problem_id = ids[sha256]
        if problem_id in found:
            raise _not_published(
                one.place,
                f"is problem {problem_id!r} of {name} again, after "
                f"{mid_sentence(found[problem_id].place)}",
                name=name,
                field=field,
            )
        found[problem_id] = one
    missing = [problem_id for problem_id in ids.values() if problem_id not in found]
    if missing:
        raise _not_published(
            repr(given),
            f"has {len(found)} of the {len(ids)} problems of {name}: {missing[0]!r} is missing",
            name=name,
            field=field,
        )
    return tuple(
        _canonical(problem_id, found[problem_id].problem, field=field)
        for problem_id in ids.values()
    )


def _canonical(problem_id: str, problem: Problem, *, field: str) -> Problem:
    return make_problem(
        repr(problem_id),
        field=field,
        id=problem_id,
        problem=problem.problem.strip(),
        answer=normalised_answer(problem.answer or ""),
    )


def _locate(
    name: PublishedSet, publication: Publication, *, settings: Settings, field: str
) -> tuple[Path, str]:
    """Path of the set's file, and its name for messages."""
    local = _local_copy(publication, settings)
    if local is not None:
        return local, publication.file_name
    advice = (
        f"Put a copy into the folder of benchmarks as {publication.file_name} (a JSON object a line: "
        "id, problem, answer) and set DRIFTGATE_BENCHMARKS_DIR to that folder"
    )
    if publication.hub_file is None:
        raise DriftgateError(
            ErrorCode.DATASET_NOT_FOUND,
            f"{field} names '{name}', which is not in the folder of benchmarks, and the hub has it in "
            f"no wording that was verified. {advice}.",
            [Violation(field, name, f"{publication.file_name} in the folder of benchmarks")],
        )
    path = fetch_dataset_file(
        publication.hub_file,
        settings=settings,
        field=field,
        advice=f"{advice}, or try again with a network.",
    )
    return path, f"{publication.hub_file.dataset}/{publication.hub_file.path}"


def _local_copy(publication: Publication, settings: Settings) -> Path | None:
    if settings.benchmarks_dir is None:
        return None
    path = settings.benchmarks_dir / publication.file_name
    return path if path.is_file() else None


def _placed_problems(
    name: PublishedSet, publication: Publication, *, path: Path, given: str, field: str
) -> Iterator[PlacedProblem]:
    """The problems of a copy, numbered from 1 whatever ids it gives them, answers normalised."""
    read_rows = read_parquet_rows if path.suffix == ".parquet" else read_json_rows
    for number, row in enumerate(read_rows(path, name=given, field=field), start=1):
        text, answer = publication.read_row(row.content)
        if not text:
            raise invalid_row(row.place, "has no `problem`, `question` or `prompt`", field=field)
        yield PlacedProblem(
            row.place,
            make_problem(
                row.place,
                field=field,
                id=_numbered_id(name, number),
                problem=text,
                answer=None if answer is None else normalised_answer(answer),
            ),
        )


def _check_whole_set(
    problems: Sequence[Problem], *, name: PublishedSet, given: str, field: str
) -> None:
    num_published = PUBLICATIONS[name].num_problems
    if len(problems) != num_published:
        difference = f"has {len(problems):,} problems, the published {name} has {num_published:,}"
    elif problems_sha256(problems) != set_sha256(name):
        difference = f"is not the published {name}: a text, an answer or the order differs"
    else:
        return
    raise _not_published(repr(given), difference, name=name, field=field)


def _distinct(name: PublishedSet, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first of the problems that read alike, numbered anew in order of appearance.

    A few of them have two answers; to train on a problem none is needed.
    """
    by_text: dict[str, Problem] = {}
    for problem in problems:
        by_text.setdefault(normalised_text(problem.problem), problem)
    return tuple(
        problem.model_copy(update={"id": _numbered_id(name, number)})
        for number, problem in enumerate(by_text.values(), start=1)
    )


def _check_count(
    problems: Sequence[Problem], *, name: PublishedSet, given: str, field: str
) -> None:
    if len(problems) not in DAPO_COUNTS:
        raise _not_published(
            repr(given),
            f"has {len(problems):,} prompts that differ, the published {name} has about "
            f"{PUBLICATIONS[name].num_problems:,}",
            name=name,
            field=field,
        )


def _numbered_id(name: PublishedSet, number: int) -> str:
    return f"{name}-{number:05d}"


def _not_published(place: str, reason: str, *, name: PublishedSet, field: str) -> DriftgateError:
    return invalid_row(
        place,
        f"{reason}. Under the name '{name}' only the published problems are taken; use an altered "
        "set as a file (`source: file`), as a benchmark under another name",
        field=field,
        allowed=f"the published problems of {name}",
    )
