import os
from pathlib import Path

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.arithmetic import arithmetic_problems
from service.jobs.evaluation_spec import BenchmarkSpec
from service.jobs.problem_sources import (
    ArithmeticSource,
    FileSource,
    InlineSource,
    Problem,
    PublishedSet,
    PublishedSource,
)
from service.preflight.problems import load_benchmark, load_problems
from service.settings import Settings
from tests.service.preflight.published_copies import folder_of_copies, needs_copies


def load_file(dataset_root: Path, path: str, *, graded: bool) -> tuple[Problem, ...]:
    settings = Settings(dataset_root=dataset_root)
    return load_problems(
        FileSource(path=path), settings=settings, split="s", field="f", graded=graded
    )


def refusal_of(content: bytes, dataset_root: Path, *, graded: bool) -> DriftgateError:
    (dataset_root / "set.jsonl").write_bytes(content)
    with pytest.raises(DriftgateError) as refusal:
        load_file(dataset_root, "set.jsonl", graded=graded)
    return refusal.value


def test_a_file_to_train_on_needs_only_problems_and_keeps_its_order(tmp_path):
    content = '\ufeff{"problem": "b\u2028c"}\r\n\n  \n{"problem": "ä", "level": 3, "answer": null}'
    (tmp_path / "set.jsonl").write_bytes(content.encode())

    assert load_file(tmp_path, "set.jsonl", graded=False) == (
        Problem(id="line-1", problem="b\u2028c"),
        Problem(id="line-4", problem="ä"),
    )


def test_a_benchmark_file_may_number_its_ids_and_answers(tmp_path):
    (tmp_path / "set.jsonl").write_text('{"id": 7, "problem": "1+1", "answer": 2}\n')

    assert load_file(tmp_path, "set.jsonl", graded=True) == (
        Problem(id="7", problem="1+1", answer="2"),
    )


GOOD = b'{"id": "a", "problem": "p", "answer": "1"}\n'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Line 3 of 'set.jsonl' (f) is not JSON in UTF-8"),
        (b'{"id": "b", "problem": "\xff", "answer": "1"}', "Line 3 of 'set.jsonl' (f) is not JSON"),
        (b"[" * 100_000, "Line 3"),
        (b"[1]", "Line 3 of 'set.jsonl' (f) is not a JSON object"),
        (b'{"id": "b", "id": "c"}', "Line 3 of 'set.jsonl' (f) has the key 'id' twice"),
        (b'{"id": "b", "answer": "1"}', "Line 3 of 'set.jsonl' (f) has no `problem`"),
        (b'{"id": "b", "problem": "p"}', "Line 3 of 'set.jsonl' (f) has no `answer`"),
        (b'{"problem": "p", "answer": "1"}', "Line 3 of 'set.jsonl' (f) has no `id`"),
        (b'{"id": "b", "problem": 5, "answer": "1"}', "has a wrong `problem`"),
        (b'{"id": "b", "problem": "\\ud800", "answer": "1"}', "has a wrong `problem`"),
        (b'{"id": "b", "problem": "p", "answer": 0.5}', "has a wrong `answer`"),
        (b'{"id": "b", "problem": "p", "answer": true}', "has a wrong `answer`"),
        (b'{"id": "", "problem": "p", "answer": "1"}', "Line 3 of 'set.jsonl' (f) has no `id`"),
        (
            b'{"id": " ", "problem": "p", "answer": "1"}',
            "Line 3 of 'set.jsonl' (f) has an empty `id`",
        ),
        (
            b'{"id": "b", "problem": "p", "answer": " "}',
            "Line 3 of 'set.jsonl' with id 'b' (f) has no",
        ),
        (
            b'{"id": "b", "problem": "p", "answer": "{"}',
            "Line 3 of 'set.jsonl' with id 'b' (f) has the answer '{'",
        ),
        (
            b'{"id": "a", "problem": "q", "answer": "1"}',
            "Line 3 of 'set.jsonl' (f) has the id 'a' of line 1 of 'set.jsonl' again",
        ),
    ],
)
def test_a_wrong_line_of_a_benchmark_is_refused_by_number_or_id(tmp_path, line, reason):
    refusal = refusal_of(GOOD + b"\n" + line, tmp_path, graded=True)

    assert refusal.code is ErrorCode.DATASET_INVALID
    assert reason in refusal.message


@pytest.mark.parametrize(
    ("graded", "code"), [(True, ErrorCode.DATASET_INVALID), (False, ErrorCode.PROMPTS_EMPTY)]
)
def test_an_empty_set_is_refused(tmp_path, graded, code):
    assert refusal_of(b"\n \n", tmp_path, graded=graded).code is code
    with pytest.raises(DriftgateError) as refusal:
        load_problems(
            InlineSource(problems=()), settings=Settings(), split="s", field="f", graded=graded
        )
    assert refusal.value.code is code


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("absent.jsonl", ErrorCode.DATASET_NOT_FOUND),
        (".", ErrorCode.DATASET_NOT_FOUND),
        ("pipe", ErrorCode.DATASET_NOT_FOUND),
        ("y" * 400, ErrorCode.DATASET_NOT_FOUND),
        ("../secret.jsonl", ErrorCode.DATASET_OUTSIDE_ROOT),
        ("/etc/passwd", ErrorCode.DATASET_OUTSIDE_ROOT),
        ("link.jsonl", ErrorCode.DATASET_OUTSIDE_ROOT),
    ],
)
def test_only_files_below_the_dataset_root_are_read(tmp_path, path, code):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.jsonl").write_bytes(GOOD)
    (root / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    os.mkfifo(root / "pipe")

    with pytest.raises(DriftgateError) as refusal:
        load_file(root, path, graded=True)

    assert refusal.value.code is code
    assert refusal.value.violations[0].field == "f.path"


def test_arithmetic_splits_of_one_seed_are_different_streams():
    source = ArithmeticSource(num_problems=50, seed=3)
    training, held_out = (
        load_problems(source, settings=Settings(), split=split, field="f", graded=True)
        for split in ("training", "held-out")
    )

    assert training == arithmetic_problems(source, split="training")
    assert not {p.problem for p in training} & {p.problem for p in held_out}


def test_more_arithmetic_problems_than_exist_are_refused_with_both_figures():
    source = ArithmeticSource(num_problems=4201, min_operations=1, max_operations=2)

    with pytest.raises(DriftgateError) as refusal:
        load_problems(source, settings=Settings(), split="s", field="f", graded=False)

    # A start digit and one or two operations: 10 · 20 + 10 · 20².
    assert refusal.value.code is ErrorCode.DATASET_INVALID
    assert "4,201" in refusal.value.message
    assert refusal.value.violations[0].allowed == "at most 4200"


def inline(*problems: tuple[str, str, str]) -> InlineSource:
    return InlineSource(
        problems=tuple(Problem(id=i, problem=text, answer=answer) for i, text, answer in problems)
    )


def test_a_problem_given_in_the_spec_is_refused_by_its_place():
    source = inline(("a", "1+1", "2"), ("a", "1+2", "3"))

    with pytest.raises(DriftgateError) as refusal:
        load_problems(source, settings=Settings(), split="s", field="f", graded=True)

    assert refusal.value.message.startswith("Problem 2 (f) has the id 'a' of problem 1 again")
    assert refusal.value.violations[0].given == "Problem 2"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            inline(("mine", "What is 1+1?", "2")),
            "Problem 1 (f) is none of the 30 problems of aime24",
        ),
        (ArithmeticSource(num_problems=30), "f is chained arithmetic"),
        (PublishedSource(name=PublishedSet.AMC23), "f is the published set 'amc23'"),
    ],
)
def test_the_name_of_a_published_benchmark_takes_no_other_problems(source, reason):
    with pytest.raises(DriftgateError) as refusal:
        load_benchmark(
            BenchmarkSpec(name="aime24", problems=source), settings=Settings(), field="f"
        )

    assert refusal.value.code is ErrorCode.DATASET_INVALID
    assert reason in refusal.value.message
    assert "another name" in refusal.value.message


def test_the_same_problems_are_a_benchmark_under_another_name():
    benchmark = BenchmarkSpec(name="aime24-mine", problems=inline(("mine", "What is 1+1?", "2")))

    assert load_benchmark(benchmark, settings=Settings(), field="f") == benchmark.problems.problems


@needs_copies
def test_a_file_that_holds_the_published_problems_may_have_the_published_name():
    settings = Settings(dataset_root=folder_of_copies(), benchmarks_dir=folder_of_copies())
    own = BenchmarkSpec(name="aime24", problems=FileSource(path="aime24.jsonl"))
    published = BenchmarkSpec.model_validate({"name": "aime24"})

    problems = load_benchmark(own, settings=settings, field="f")

    assert problems == load_benchmark(published, settings=settings, field="f")
    assert len(problems) == 30
