import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import DriftgateError, ErrorCode
from service.jobs.problem_sources import Problem
from service.preflight.overlap import prompt_overlap, without_overlap
from tests.service.preflight.published_copies import needs_copies, rows_of

# Twenty words.
LONG = "one two three four five six seven eight nine ten " * 2


def problem(problem_id: str, text: str) -> Problem:
    return Problem(id=problem_id, problem=text)


def share_of(prompt: str, text: str) -> float:
    """Share of the text's passages that the prompt has; 0 where they do not overlap."""
    report = prompt_overlap([problem("p", prompt)], {"b": [problem("q", text)]})
    (benchmark,) = report.by_benchmark
    return benchmark.examples[0].share if benchmark.examples else 0.0


def words(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last + 1))


@pytest.mark.parametrize(
    ("prompt", "text", "share"),
    [
        (words(1, 13), words(1, 13), 1.0),
        (words(1, 12) + " x", words(1, 13), 0.0),
        # 20 words have 8 runs of 13, of which the prompt has those that start at words 4 to 8.
        (words(4, 20), words(1, 20), 5 / 8),
        # The same words with other signs between them, in capitals and in full width.
        (words(1, 13).replace(" ", "}, \\{").upper(), words(1, 13), 1.0),
        (words(1, 13).replace("w1 ", "ｗ１ "), words(1, 13), 1.0),
        # The name of a command is a word.
        (rf"\frac {words(1, 12)}", f"frac {words(1, 12)}", 1.0),
        (rf"\frac {words(1, 12)}", f"x {words(1, 12)}", 0.0),
        # Short texts are compared whole, sign by sign.
        ("What is 1 + 1?", "what is 1+1?", 1.0),
        ("What is 1 - 1?", "What is 1+1?", 0.0),
        ("What is 1+1? Think!", "What is 1+1?", 0.0),
        ("What is 1+1?", f"What is 1+1? {words(1, 20)}", 0.0),
        ("?", "!", 0.0),
    ],
)
def test_the_share_counts_the_runs_of_13_words_of_the_problem(prompt, text, share):
    assert share_of(prompt, text) == share


def test_the_report_counts_prompts_by_benchmark_and_names_the_most_alike():
    prompts = [problem(f"p{number}", words(number, 30)) for number in range(1, 11)]
    benchmarks = {
        "near": [
            problem("short", "1+1"),
            problem("whole", words(1, 30)),
            problem("end", words(18, 30)),
        ],
        "far": [problem("other", words(100, 130))],
    }

    report = prompt_overlap([*prompts, problem("apart", words(50, 70))], benchmarks)

    near, far = report.by_benchmark
    assert (near.benchmark, near.num_prompts, near.num_overlapping) == ("near", 11, 10)
    # All of them hold the 13 words of `end`, and of the equal shares the first problem is named.
    assert [(one.prompt_id, one.problem_id, one.share) for one in near.examples] == [
        ("p1", "whole", 1.0),
        *((f"p{number}", "end", 1.0) for number in range(2, 6)),
    ]
    assert (far.num_prompts, far.num_overlapping, far.examples) == (11, 0, ())
    assert report.overlapping_ids == {prompt.id for prompt in prompts}


# No problem holds a NUL.
TEXT = st.characters(codec="utf-8", exclude_characters="\x00")


@given(
    text=st.text(TEXT, min_size=1, max_size=200), case=st.sampled_from(["upper", "lower", "title"])
)
def test_every_text_overlaps_with_itself_whatever_its_whitespace(text, case):
    assert share_of(text, text) == 1.0
    assert share_of(f"\n{text}  ", text) == 1.0


def test_prompts_that_overlap_are_left_out_in_order():
    prompts = [problem("a", LONG), problem("b", "1+1"), problem("c", "1+2")]
    report = prompt_overlap(prompts, {"b": [problem("q", LONG)]})

    assert without_overlap(prompts, report, field="prompts.problems") == tuple(prompts[1:])


def test_a_job_all_of_whose_prompts_overlap_is_refused():
    prompts = [problem("a", LONG)]
    report = prompt_overlap(prompts, {"math500": [problem("q", LONG)], "aime24": []})

    with pytest.raises(DriftgateError) as refusal:
        without_overlap(prompts, report, field="prompts.problems")

    assert refusal.value.code is ErrorCode.PROMPTS_EMPTY
    assert refusal.value.violations[0].field == "prompts.problems"
    assert "(math500)" in refusal.value.message


def as_problems(file_name: str) -> list[Problem]:
    return [problem(row["id"], row["problem"]) for row in rows_of(file_name)]


@needs_copies
def test_every_known_near_duplicate_of_math500_is_found():
    known = rows_of("near_duplicates_math_train.jsonl")
    train = {one.id: one for one in as_problems("math_train4500.jsonl")}
    test = {one.id: one for one in as_problems("math500.jsonl")}

    shares = [share_of(train[row["train"]].problem, test[row["test"]].problem) for row in known]
    report = prompt_overlap(tuple(train.values()), {"math500": tuple(test.values())})

    assert len(known) == 22
    assert min(shares) >= 0.4
    assert {row["train"] for row in known} <= report.overlapping_ids
    assert report.by_benchmark[0].num_prompts == 4500
