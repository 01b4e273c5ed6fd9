import json
import os
import time
from pathlib import Path

import pytest

from worker.evaluation.grader import Grader, GradingRequest, grader_version
from worker.evaluation.grading import Layer, Outcome, Rule

BENCHMARKS_DIR = os.environ.get("DRIFTGATE_BENCHMARKS_DIR")
needs_benchmarks = pytest.mark.skipif(
    not BENCHMARKS_DIR, reason="DRIFTGATE_BENCHMARKS_DIR names no folder of labelled grader cases"
)
# Asked for: every case is done in so much time, whatever it is.
MAX_CASE_S = 3.5
RULES = {"response": Rule.BOXED, "short": Rule.SHORT}
ORDINARY = GradingRequest(r"so \boxed{x^2+2x+1}", "(x+1)^2", Rule.BOXED)


@pytest.fixture(scope="module")
def grader():
    with Grader() as grader:
        grader.grade([ORDINARY])  # so that no test waits for imports
        yield grader


def rows_of(name):
    lines = (Path(BENCHMARKS_DIR) / name).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows
    return rows


def misjudged(grader, rows, requests):
    verdicts = grader.grade(requests)
    return [
        (row["id"], verdict.outcome)
        for row, verdict in zip(rows, verdicts, strict=True)
        if (verdict.outcome is Outcome.RIGHT) != row["expected"]
    ]


def test_every_layer_decides_what_it_can(grader):
    answers = ["42", "1/3", r"\pi", r"3^{-1}", "x", "7^{10000000}", "4210_7", None]
    golds = ["42", "1/3", r"\pi", "1/3", "y", "x", "4210", "42"]
    texts = ["none" if answer is None else rf"\boxed{{{answer}}}" for answer in answers]
    verdicts = grader.grade(
        [GradingRequest(text, gold, Rule.BOXED) for text, gold in zip(texts, golds, strict=True)]
    )
    assert [(verdict.outcome, verdict.layer) for verdict in verdicts] == [
        (Outcome.RIGHT, Layer.INTEGER),
        (Outcome.RIGHT, Layer.RATIONAL),
        (Outcome.RIGHT, Layer.STRING),
        (Outcome.RIGHT, Layer.SYMBOLIC),
        (Outcome.WRONG, Layer.SYMBOLIC),
        (Outcome.WRONG, Layer.LIMIT),
        (Outcome.WRONG, Layer.UNDECIDED),
        (Outcome.NO_ANSWER, Layer.EXTRACTION),
    ]


def test_the_rules_differ_in_where_the_answer_stands(grader):
    requests = [
        GradingRequest("a2+4=6\n#### 6672", "6672", Rule.ARITHMETIC),
        GradingRequest("The answer is $(x+1)^2$.", "x^2+2x+1", Rule.SHORT),
        GradingRequest("The answer is $(x+1)^2$.", "x^2+2x+1", Rule.BOXED),
    ]
    outcomes = [verdict.outcome for verdict in grader.grade(requests)]
    assert outcomes == [Outcome.RIGHT, Outcome.RIGHT, Outcome.NO_ANSWER]


def test_equal_questions_are_asked_once(grader):
    first, second = grader.grade([ORDINARY, ORDINARY])
    assert first == second
    assert second.milliseconds < first.milliseconds


def test_nothing_of_an_answer_is_run(grader, tmp_path):
    pwned = tmp_path / "pwned"
    code = f'__import__("os").system("touch {pwned}")'
    texts = [code, rf"\text{{exec('{code}')}}", rf"x+\operatorname{{eval}}({code})", f"f({code})"]
    requests = [
        GradingRequest(text, gold, rule)
        for text in [*texts, *(rf"\boxed{{{text}}}" for text in texts)]
        for gold in ("42", "x+1", code)
        for rule in (Rule.BOXED, Rule.SHORT)
    ]
    assert len(grader.grade(requests)) == len(requests)
    assert not pwned.exists()


def test_the_version_names_what_verdicts_depend_on():
    assert grader_version() == "driftgate 1, math-verify 0.9.0, sympy 1.14.0"


@needs_benchmarks
def test_labelled_cases_are_all_decided_as_labelled(grader):
    rows = [
        row
        for row in rows_of("grader_cases.jsonl")
        if row["form"] in RULES and "convention" not in row
    ]
    requests = [GradingRequest(row["prediction"], row["gold"], RULES[row["form"]]) for row in rows]
    assert misjudged(grader, rows, requests) == []


@needs_benchmarks
def test_cases_derived_from_the_benchmarks_are_all_decided_as_labelled(grader):
    rows = rows_of("grader_derived.jsonl")
    requests = [GradingRequest(row["prediction"], row["gold"], Rule.BOXED) for row in rows]
    assert misjudged(grader, rows, requests) == []


@needs_benchmarks
def test_every_answer_of_the_maths_benchmarks_is_right_for_itself(grader):
    names = ("aime24.jsonl", "aime25.jsonl", "amc23.jsonl", "math500.jsonl", "math_train4500.jsonl")
    rows = [row | {"expected": True} for name in names for row in rows_of(name)]
    requests = [
        GradingRequest(rf"so \boxed{{{row['answer']}}}.", row["answer"], Rule.BOXED) for row in rows
    ]
    assert misjudged(grader, rows, requests) == []


@needs_benchmarks
@pytest.mark.timeout(600)
def test_hostile_text_is_done_in_time_and_the_next_case_is_graded_as_ever(grader):
    failures = []
    for row in rows_of("grader_hostile.jsonl"):
        text = eval(row["python_expr"])  # a fixture of ours: literals and their repetition
        for rule in RULES.values():
            started = time.monotonic()
            (verdict,) = grader.grade([GradingRequest(text, row["gold"], rule)])
            seconds = time.monotonic() - started
            (next_verdict,) = grader.grade([ORDINARY])
            judged = (verdict.outcome in row["allowed"], seconds < MAX_CASE_S, next_verdict.outcome)
            failures += [(row["id"], judged)] * (judged != (True, True, Outcome.RIGHT))
    assert failures == []
