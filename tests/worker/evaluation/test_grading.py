from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.evaluation.grading import Layer, Outcome, Rule, Verdict, examine, gold_problem, grade


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


def test_what_only_algebra_can_tell_is_a_question_for_it():
    verdict, question = examine(r"\boxed{(r+5)^2}", gold="(r+5)(r+5)", rule=Rule.BOXED)
    assert verdict.layer is Layer.UNDECIDED
    assert (question.given, question.gold) == ("(r+5)^2", "(r+5)(r+5)")


@pytest.mark.parametrize(
    "answer",
    [
        "7^{10000000}",
        "1e999999999",
        r"\sqrt[1000000007]{2}+x",
        "x+" + "7" * 257,
        "(" * 65 + "x" + ")" * 65,
    ],
)
def test_no_question_is_asked_of_what_is_too_large_or_too_deep(answer):
    verdict, question = examine(rf"\boxed{{{answer}}}", gold="x+1", rule=Rule.BOXED)
    assert (verdict.outcome, verdict.layer, question) == (Outcome.WRONG, Layer.LIMIT, None)


@pytest.mark.parametrize(
    ("text", "gold", "extracted"),
    [
        ("x^2 + 1", "x^2+1", "x^2 + 1"),
        ("The answer is 4 4/9.", "40/9", "4 4/9"),
        ("Evelyn and 2 others", "Evelyn and 2 others", "2"),
    ],
)
def test_a_short_text_is_the_answer_or_gives_it(text, gold, extracted):
    verdict = grade(text, gold=gold, rule=Rule.SHORT)
    assert (verdict.outcome, verdict.extracted) == (Outcome.RIGHT, extracted)


@pytest.mark.parametrize(
    ("answer", "gold", "outcome"),
    [
        ("2,74", "2.74", Outcome.RIGHT),
        ("2.74", "2,74", Outcome.RIGHT),
        ("2,7", "2.7", Outcome.WRONG),
        ("2,74", "274", Outcome.WRONG),
        (r"\textbf{(C) }12", "12", Outcome.RIGHT),
        (r"\textbf{(C) }12", "C", Outcome.RIGHT),
        (r"\textbf{(C) }12", "D", Outcome.WRONG),
        (r"\textbf{(C) }12", "13", Outcome.WRONG),
    ],
)
def test_what_may_be_read_in_two_ways_is_read_as_the_gold_answer_is_written(answer, gold, outcome):
    assert boxed(rf"\boxed{{{answer}}}", gold).outcome is outcome


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"x=\frac{1}{2}", "0.5"),
        ("1,-2", r"\{-2, 1\}"),
        (r"20\%", r"20"),
        (r"5\text{ cm}", "5"),
        (r"\text{Even}", "even"),
    ],
)
def test_equal_answers_share_their_key(one, other):
    assert boxed(rf"\boxed{{{one}}}", "").answer_key == boxed(rf"\boxed{{{other}}}", "").answer_key


def test_a_key_has_at_most_200_characters():
    keys = {boxed(rf"\boxed{{{text}}}", "1").answer_key for text in ("x+" * 150, "y+" * 150)}
    assert [len(key) <= 200 for key in keys] == [True, True]


@pytest.mark.parametrize(
    ("gold", "rule", "problem"),
    [
        ("42", Rule.BOXED, None),
        (r"so $x$ is \boxed{42}", Rule.BOXED, None),
        ("0042", Rule.ARITHMETIC, None),
        ("4.2", Rule.ARITHMETIC, "is not a string of digits"),
        (" $ $ ", Rule.BOXED, "is empty after normalisation"),
        (r"\frac{1}{2", Rule.SHORT, "has braces that do not match"),
        ("x" * 1234, Rule.BOXED, "has 1,234 characters, of which 1,000 can be compared"),
    ],
)
def test_a_gold_answer_says_why_nothing_can_be_graded_against_it(gold, rule, problem):
    assert gold_problem(gold, rule) == problem
