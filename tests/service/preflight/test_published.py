import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import Table, parquet

from service.errors import DriftgateError, ErrorCode
from service.jobs.problem_sources import PublishedSet
from service.preflight.problem_hashes import problems_sha256
from service.preflight.published import is_left_to_worker, load_published
from service.preflight.published_catalogue import PUBLICATIONS, problem_hashes, set_sha256
from service.preflight.published_rows import DAPO_INSTRUCTION, DAPO_REMINDER
from tests.service.preflight.published_copies import (
    folder_of_copies,
    needs_copies,
    rows_of,
    write_rows,
)

BENCHMARKS = [PublishedSet.AIME24, PublishedSet.AIME25, PublishedSet.MATH500, PublishedSet.AMC23]
TRAINING_SETS = [PublishedSet.GSM8K, PublishedSet.MATH]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    return tmp_path / "benchmarks"


@pytest.fixture
def local(settings, folder):
    """Settings with an empty folder of benchmarks, and no hub."""
    return settings.model_copy(update={"benchmarks_dir": folder})


def load(name, settings):
    return load_published(name, settings=settings, field="f")


def refusal_of(name, settings):
    with pytest.raises(DriftgateError) as refusal:
        load(name, settings)
    return refusal.value


def write_to_hub(root: Path, name: PublishedSet, rows: list[dict]) -> None:
    """The rows as the file of the hub that the catalogue names."""
    file = PUBLICATIONS[name].hub_file
    path = root / "datasets" / file.dataset / file.path
    path.parent.mkdir(parents=True)
    if path.suffix == ".parquet":
        parquet.write_table(Table.from_pylist(rows), path)
    else:
        write_rows(path, rows)


@needs_copies
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_has_its_published_ids_and_hash(local, name):
    copies = local.model_copy(update={"benchmarks_dir": folder_of_copies()})

    problems = load(name, copies)

    assert len(problems) == PUBLICATIONS[name].num_problems
    assert [problem.id for problem in problems] == [
        row["id"] for row in rows_of(PUBLICATIONS[name].file_name)
    ]
    assert problems_sha256(problems) == set_sha256(name)


@needs_copies
@pytest.mark.parametrize("name", TRAINING_SETS)
def test_a_training_set_is_numbered_and_has_its_published_hash(local, name):
    copies = local.model_copy(update={"benchmarks_dir": folder_of_copies()})

    problems = load(name, copies)

    assert problems[0].id == f"{name}-00001"
    assert len(problems) == PUBLICATIONS[name].num_problems
    assert problems_sha256(problems) == set_sha256(name)
    assert all(problem.answer for problem in problems)


@needs_copies
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 99), space=st.sampled_from(["\n", "\t ", "\u00a0"]))
def test_neither_order_nor_ids_nor_whitespace_of_a_copy_make_a_difference(
    local, folder, seed, space
):
    rows = rows_of("aime24.jsonl")
    canonical = [row["id"] for row in rows]
    random.Random(seed).shuffle(rows)
    retyped = [
        {"question": f" {row['problem'].replace(' ', space)}\n", "answer": float(row["answer"])}
        for row in rows
    ]
    write_rows(folder / "aime24.jsonl", retyped)

    problems = load(PublishedSet.AIME24, local)

    assert [problem.id for problem in problems] == canonical
    assert problems_sha256(problems) == set_sha256(PublishedSet.AIME24)


@needs_copies
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows[2].update(answer="1"), "Line 3 of 'amc23.jsonl' (f) is none of the 40"),
        (lambda rows: rows[4].update(problem="x"), "Line 5 of 'amc23.jsonl' (f) is none of the 40"),
        (
            lambda rows: rows.append(rows[1]),
            "Line 41 of 'amc23.jsonl' (f) is problem 'amc23-12A-10' of amc23 again, after line 2",
        ),
        (lambda rows: rows.pop(0), "has 39 of the 40 problems of amc23: 'amc23-12A-01' is missing"),
        (lambda rows: rows[3].pop("problem"), "Line 4 of 'amc23.jsonl' (f) has no `problem`"),
    ],
)
def test_an_altered_benchmark_is_refused_with_the_row(local, folder, change, reason):
    rows = rows_of("amc23.jsonl")
    change(rows)
    write_rows(folder / "amc23.jsonl", rows)

    refusal = refusal_of(PublishedSet.AMC23, local)

    assert refusal.code is ErrorCode.DATASET_INVALID
    assert reason in refusal.message
    assert refusal.violations[0].field == "f"


def test_a_refusal_says_that_an_altered_set_may_be_used_under_another_name(local, folder):
    write_rows(folder / "math500.jsonl", [{"id": "a", "problem": "What is 1+1?", "answer": "2"}])

    message = refusal_of(PublishedSet.MATH500, local).message

    assert "Line 1 of 'math500.jsonl'" in message
    assert "as a benchmark under another name" in message


@needs_copies
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.pop(), "has 4,499 problems, the published math has 4,500"),
        (lambda rows: rows.reverse(), "is not the published math"),
        (lambda rows: rows[7].update(answer="1"), "is not the published math"),
    ],
)
def test_an_altered_training_set_is_refused(local, folder, change, reason):
    rows = rows_of("math_train4500.jsonl")
    change(rows)
    write_rows(folder / "math_train4500.jsonl", rows)

    assert reason in refusal_of(PublishedSet.MATH, local).message


def wrapped(problem: str) -> list[dict]:
    content = f"{DAPO_INSTRUCTION}\n\n{problem}\n\n{DAPO_REMINDER}"
    return [{"content": content, "role": "user"}]


def dapo_rows(num_prompts: int) -> list[dict]:
    """As the hub has them; the first prompt twice, with other whitespace."""
    prompts = [f"What is  {number}+1?" for number in range(num_prompts)]
    return [
        {"prompt": wrapped(prompt), "reward_model": {"ground_truth": "5", "style": "rule"}}
        for prompt in (*prompts, "What is 0+1?")
    ]


def test_dapo_comes_from_the_hub_unwrapped_and_each_prompt_once(settings, fake_hub):
    write_to_hub(fake_hub.root, PublishedSet.DAPO_MATH_17K, dapo_rows(17_188))
    online = settings.model_copy(update={"hub_endpoint": fake_hub.url})

    problems = load(PublishedSet.DAPO_MATH_17K, online)

    assert len(problems) == 17_188
    assert (problems[0].id, problems[0].problem) == ("dapo_math_17k-00001", "What is  0+1?")
    assert (problems[-1].id, problems[-1].answer) == ("dapo_math_17k-17188", "5")
    # From here on only the cache can answer.
    assert load(PublishedSet.DAPO_MATH_17K, settings) == problems


def test_a_part_of_dapo_is_refused_with_the_counts(local, folder):
    write_rows(folder / "dapo_math_17k.jsonl", dapo_rows(3))

    refusal = refusal_of(PublishedSet.DAPO_MATH_17K, local)

    assert refusal.code is ErrorCode.DATASET_INVALID
    assert "has 3 prompts that differ" in refusal.message
    assert "about 17,188" in refusal.message


@needs_copies
@pytest.mark.parametrize("name", [PublishedSet.AIME24, PublishedSet.MATH500, PublishedSet.AMC23])
def test_a_benchmark_comes_from_the_hub_where_the_folder_lacks_it(local, fake_hub, name):
    key = "question" if name == "amc23" else "problem"
    rows = [
        {key: row["problem"], "answer": row["answer"], "solution": "…"}
        for row in rows_of(PUBLICATIONS[name].file_name)
    ]
    write_to_hub(fake_hub.root, name, rows)
    online = local.model_copy(update={"hub_endpoint": fake_hub.url})

    assert problems_sha256(load(name, online)) == set_sha256(name)
    assert all(PUBLICATIONS[name].hub_file.commit in path for path in fake_hub.paths)


def test_an_unreachable_hub_is_refused_with_the_folder_to_put_a_copy_in(local):
    refusal = refusal_of(PublishedSet.MATH500, local)

    assert refusal.code is ErrorCode.HUB_UNAVAILABLE
    assert "'HuggingFaceH4/MATH-500/test.jsonl' of f" in refusal.message
    assert "DRIFTGATE_BENCHMARKS_DIR" in refusal.message
    assert "math500.jsonl" in refusal.message


def test_a_data_set_that_the_hub_has_no_more_is_not_found(local, fake_hub):
    online = local.model_copy(update={"hub_endpoint": fake_hub.url})

    refusal = refusal_of(PublishedSet.MATH500, online)

    assert refusal.code is ErrorCode.DATASET_NOT_FOUND
    assert "DRIFTGATE_BENCHMARKS_DIR" in refusal.message


@pytest.mark.parametrize("name", [PublishedSet.AIME25, PublishedSet.MATH])
def test_a_set_that_the_hub_has_in_other_words_only_has_to_be_supplied(settings, name):
    refusal = refusal_of(name, settings)

    assert refusal.code is ErrorCode.DATASET_NOT_FOUND
    assert PUBLICATIONS[name].file_name in refusal.message
    assert "no wording that was verified" in refusal.message


def test_a_hub_file_that_is_no_parquet_is_refused_by_name(settings, fake_hub):
    file = PUBLICATIONS[PublishedSet.AIME24].hub_file
    path = fake_hub.root / "datasets" / file.dataset / file.path
    path.parent.mkdir(parents=True)
    path.write_text("a page that asks to log in")
    online = settings.model_copy(update={"hub_endpoint": fake_hub.url})

    refusal = refusal_of(PublishedSet.AIME24, online)

    assert refusal.code is ErrorCode.DATASET_INVALID
    assert f"'{file.dataset}/{file.path}' of f cannot be read as Parquet" in refusal.message


def test_a_wrong_row_of_a_hub_file_is_named_by_its_number(settings, fake_hub):
    rows = [{"problem": "What is 1+1?", "answer": "2"}, {"problem": "", "answer": "3"}]
    write_to_hub(fake_hub.root, PublishedSet.AIME24, rows)
    online = settings.model_copy(update={"hub_endpoint": fake_hub.url})

    message = refusal_of(PublishedSet.AIME24, online).message

    assert message.startswith(
        "Row 2 of 'HuggingFaceH4/aime_2024/data/train-00000-of-00001.parquet'"
    )
    assert "has no `problem`, `question` or `prompt`" in message


def test_a_submission_waits_for_small_sets_and_local_copies_only(local, folder):
    (folder / "dapo_math_17k.jsonl").touch()

    left = {name for name in PublishedSet if is_left_to_worker(name, settings=local)}

    assert left == {PublishedSet.GSM8K}


def test_the_catalogue_holds_hashes_and_no_text():
    for name in BENCHMARKS:
        hashes = problem_hashes(name)
        assert len(set(hashes.values())) == len(hashes) == PUBLICATIONS[name].num_problems
        assert all(len(bytes.fromhex(one)) == 32 for one in (*hashes.values(), set_sha256(name)))
    assert set(PUBLICATIONS) == set(PublishedSet)
