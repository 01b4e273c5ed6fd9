import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.evaluation.grading import Layer, Outcome, Rule, Verdict, extract_boxed, grade

BENCHMARKS_DIR = os.environ.get("DRIFTGATE_BENCHMARKS_DIR")
needs_benchmarks = pytest.mark.skipif(
    not BENCHMARKS_DIR, reason="DRIFTGATE_BENCHMARKS_DIR names no folder of labelled grader cases"
)


def boxed(text, gold):
    return grade(text, gold=gold, rule=Rule.BOXED)


def is_right(answer, gold):
    return boxed(rf"so \boxed{{{answer}}}", gold).outcome is Outcome.RIGHT


@pytest.mark.parametrize(
    ("response", "outcome", "extracted"),
    [
        ("a2+4=6\n#### 6672", Outcome.RIGHT, "6672"),
        ("#### 1\nno: #### 6672 \nand on", Outcome.RIGHT, "6672"),
        ("#### 6672\n#### 1234", Outcome.WRONG, "1234"),
        ("#### 06672", Outcome.WRONG, "06672"),
        ("#### 6672.0", Outcome.WRONG, "6672.0"),
        ("#### 66 72", Outcome.WRONG, "66 72"),
        ("####6672", Outcome.NO_ANSWER, None),
        ("#### \n6672", Outcome.NO_ANSWER, None),
        ("6672", Outcome.NO_ANSWER, None),
        ("", Outcome.NO_ANSWER, None),
    ],
)
def test_arithmetic_compares_the_digits_after_the_last_mark(response, outcome, extracted):
    verdict = grade(response, gold="6672", rule=Rule.ARITHMETIC)
    assert (verdict.outcome, verdict.extracted) == (outcome, extracted)


def test_arithmetic_keeps_the_leading_zeros_of_the_answer():
    assert grade("#### 0042", gold="0042", rule=Rule.ARITHMETIC).outcome is Outcome.RIGHT
    assert grade("#### 42", gold="0042", rule=Rule.ARITHMETIC).outcome is Outcome.WRONG


@pytest.mark.parametrize(
    ("response", "extracted"),
    [
        (r"\boxed{1} then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"a stray } and a stray { do not hide \boxed{5}", "5"),
        (r"\boxed{4} and then cut off in \boxed{5", "4"),
        (r"<think>\boxed{1}</think> \boxed{2}", "2"),
        (r"<think>\boxed{1}</think> none", None),
        (r"<think>still at it \boxed{1}", None),
        (r"the template opened it: \boxed{1}</think> \boxed{2}", "2"),
        (r"\boxed 5", None),
        (r"\\boxed{5}", None),
    ],
)
def test_the_last_balanced_box_after_thinking_is_the_answer(response, extracted):
    assert extract_boxed(response) == extracted


def test_no_box_and_an_empty_box_are_no_answer():
    no_answer = Verdict(Outcome.NO_ANSWER, Layer.EXTRACTION, None)
    assert boxed("the answer is 42", "42") == no_answer
    assert boxed(r"\boxed{ }", "42") == no_answer


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"\text{042}", "42"),
        (r"\textbf{(042)}", "42"),
        (r"x = 42", "42"),
        (r"42.", "42"),
        (r"42.00", "42"),
        (r"42\text{ cm}^2", "42"),
        (r"42^{\circ}", "42"),
        (r"\boxed{42}", "42"),
        (r"\$3{,}159", "3159"),
        (r"3\,159", "3159"),
        (r"11,\! 111,\! 111", "11111111"),
        (r"-\tfrac12", r"-\frac{1}{2}"),
        (r"1\frac{1}{2}", "3/2"),
        (r"4 4/9", r"\frac{40}{9}"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        (r"(0.5, 2]", r"(\frac12,2]"),
        (r"\{3,5,7\}", "7, 5 \\text{ and } 3"),
        (r"x \in [-4, 0]", "[-4,0]"),
        (r"(p,q)=(3,2)", "(3,2)"),
        (r"\text{ Evelyn. }", r"\text{Evelyn}"),
        (r"4210_{7}", "4210_7"),
        (r"\sqrt3", r"\sqrt{3}"),
    ],
)
def test_notation_does_not_change_an_answer(answer, gold):
    assert is_right(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("1 2", "12"),
        ("11\n5/6", "71/6"),
        ("11 6/6", "12"),
        ("12, 13", "12"),
        (r"12 \text{ or } 13", "12"),
        (r"12 \neq 13", "12"),
        (r"12\text{ million}", "12"),
        ("(1,2)", "(2,1)"),
        ("[0,9)", "(0,9)"),
        ("y=3", "x=3"),
        (r"\text{not Evelyn}", r"\text{Evelyn}"),
        ("0.3333", r"\frac{1}{3}"),
        ("-1/2", "1/2"),
        ("1/0", "0"),
    ],
)
def test_other_answers_are_wrong(answer, gold):
    assert not is_right(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold", "layer"),
    [
        ("41", "42", Layer.INTEGER),
        ("1/2", "0.5", Layer.RATIONAL),
        (r"\pi", r"\pi", Layer.STRING),
        ("(r+5)^2", "(r+5)(r+5)", Layer.UNDECIDED),
        ("50\\%", "0.5", Layer.UNDECIDED),
    ],
)
def test_a_verdict_names_the_layer_that_decided_it(answer, gold, layer):
    assert boxed(rf"\boxed{{{answer}}}", gold).layer is layer


@given(st.fractions(max_denominator=999))
def test_every_way_to_write_a_fraction_is_that_fraction_and_not_the_next_one(value: Fraction):
    latex = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    plain = f"{3 * value.numerator}/{3 * value.denominator}"
    assert is_right(latex, str(value))
    assert is_right(plain, latex)
    assert not is_right(latex, str(value + 1))


@given(st.text(alphabet="\\boxedfractn{}()[]0123456789.,/%$^_ \n\x00४-=", max_size=400))
def test_no_text_makes_the_grader_fail_or_right_by_accident(text):
    assert boxed(rf"\boxed{{{text}}}", "no such answer").outcome is not Outcome.RIGHT


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{" * 200_000,
        r"\boxed{" + "7" * 1_000_000 + "}",
        r"\boxed{" + "{" * 400 + "}" * 400 + "}",
        r"\boxed{1.5E400000000}",
        r"\boxed{9^{9^{9^{9}}}}",
        r"\boxed{" + " ," * 450 + "}",
        r"\boxed{" + r"\text{" * 140 + "1" + "}" * 140 + "2}",
        "<think>" * 100_000,
        "}" * 1_000_000,
    ],
)
@pytest.mark.timeout(10)
def test_hostile_text_is_graded_without_being_evaluated(response):
    verdict = boxed(response, "42")
    assert verdict.outcome is not Outcome.RIGHT
    assert len(verdict.extracted or "") <= 1000


def _labelled_cases():
    rows = (
        json.loads(line)
        for line in (Path(BENCHMARKS_DIR) / "grader_cases.jsonl").read_text().splitlines()
    )
    return [row for row in rows if row["form"] in {"response", "short"} and "convention" not in row]


def _graded_right(row):
    answers = {"response": "{}", "short": "\\boxed{{{}}}"}
    prediction = row["prediction"]
    response = answers[row["form"]].format(prediction)
    return boxed(response, row["gold"]).outcome is Outcome.RIGHT


@needs_benchmarks
def test_labelled_wrong_answers_are_never_right():
    wrong = [row for row in _labelled_cases() if not row["expected"]]
    assert wrong
    assert [row["id"] for row in wrong if _graded_right(row)] == []


@needs_benchmarks
def test_labelled_right_answers_are_mostly_right_without_symbolic_comparison():
    right = [row for row in _labelled_cases() if row["expected"]]
    solutions = [row for row in right if row["kind"] == "reference-solution"]
    # Measured: 551 of 551 reference solutions, 89 of 179 rows that test symbolic graders.
    assert sum(map(_graded_right, solutions)) == len(solutions)
    assert sum(map(_graded_right, right)) >= len(solutions) + 85


@needs_benchmarks
def test_rows_derived_from_the_benchmarks_are_all_decided_as_labelled():
    lines = (Path(BENCHMARKS_DIR) / "grader_derived.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows
    assert [
        row["id"]
        for row in rows
        if (boxed(row["prediction"], row["gold"]).outcome is Outcome.RIGHT) != row["expected"]
    ] == []
