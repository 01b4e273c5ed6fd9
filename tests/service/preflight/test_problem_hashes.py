import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.problem_sources import Problem
from service.preflight.problem_hashes import (
    answered_problem_sha256,
    normalised_answer,
    problems_sha256,
)

words = st.lists(st.text(st.characters(categories=["L", "N", "S"]), min_size=1), min_size=1)
spaces = st.text(" \t\n\r\u00a0\u2003", min_size=1)


def problem_of(text: str, answer: str, problem_id: str = "1") -> Problem:
    return Problem(id=problem_id, problem=text, answer=answer)


@given(words=words, space=spaces, start=spaces, answer=st.integers(), form=st.sampled_from("CD"))
def test_no_hash_depends_on_whitespace_composition_or_the_zeros_of_an_integer(
    words, space, start, answer, form
):
    original = problem_of(" ".join(words), str(answer))
    retyped = problem_of(
        start + unicodedata.normalize(f"NF{form}", space.join(words)) + space, f"{answer}.0 "
    )

    assert answered_problem_sha256(retyped) == answered_problem_sha256(original)
    assert normalised_answer(retyped.answer) == original.answer
    same_answer = retyped.model_copy(update={"answer": original.answer})
    assert problems_sha256([same_answer]) == problems_sha256([original])


@pytest.mark.parametrize(
    ("answer", "normalised"),
    [
        ("073", "73"),
        ("+7", "7"),
        ("-07.00", "-7"),
        ("000", "0"),
        (" 27.0\n", "27"),
        ("27.5", "27.5"),
        ("0.50", "0.50"),
        ("1,000", "1,000"),
        ("\\frac{1}{2}", "\\frac{1}{2}"),
    ],
)
def test_only_integers_lose_their_zeros(answer, normalised):
    assert normalised_answer(answer) == normalised


def test_a_problem_and_its_answer_do_not_run_into_each_other():
    assert answered_problem_sha256(problem_of("a b", "c")) != answered_problem_sha256(
        problem_of("a", "b c")
    )


def test_the_id_is_no_part_of_the_hash_of_one_problem():
    assert answered_problem_sha256(problem_of("a", "1", "x")) == answered_problem_sha256(
        problem_of("a", "1", "y")
    )


def test_the_hash_of_a_set_depends_on_order_ids_and_answers_and_on_nothing_else():
    first, second = Problem(id="1", problem="ä", answer="02"), Problem(id="2", problem=" b\n")
    lines = '{"answer":"02","id":"1","problem":"ä"}\n{"answer":null,"id":"2","problem":"b"}\n'

    assert problems_sha256((first, second)) == hashlib.sha256(lines.encode()).hexdigest()
    assert problems_sha256((second, first)) != problems_sha256((first, second))
