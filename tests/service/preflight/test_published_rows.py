import pytest

from service.preflight.published_rows import (
    DAPO_INSTRUCTION,
    DAPO_REMINDER,
    dapo_row,
    gsm8k_row,
    plain_row,
)


@pytest.mark.parametrize(
    ("row", "problem", "answer"),
    [
        ({"problem": " p ", "answer": "1"}, "p", "1"),
        ({"question": "p", "answer": 27.0}, "p", "27"),
        ({"problem": None, "prompt": "p", "answer": -3}, "p", "-3"),
        ({"prompt": [{"role": "user", "content": "p"}], "answer": 0.5}, "p", "0.5"),
        ({"problem": 5, "answer": True}, "", None),
        ({"prompt": [], "answer": " "}, "", None),
        ({}, "", None),
    ],
)
def test_problem_and_answer_are_found_under_the_names_in_use(row, problem, answer):
    assert plain_row(row) == (problem, answer)


@pytest.mark.parametrize(
    ("answer", "final"),
    [("2*3=6\n#### 6", "6"), ("so\n#### 1,234,567", "1234567"), ("72", "72"), (None, None)],
)
def test_the_answer_of_gsm8k_follows_its_mark(answer, final):
    assert gsm8k_row({"question": "p", "answer": answer}) == ("p", final)


@pytest.mark.parametrize(
    "prompt",
    [
        f"{DAPO_INSTRUCTION}\n\nWhat is 1+1?\n\n{DAPO_REMINDER}",
        f"{DAPO_INSTRUCTION}\n\nWhat is 1+1?\n{DAPO_REMINDER}",
        "What is 1+1?",
    ],
)
def test_the_wrapper_of_a_dapo_prompt_is_taken_off(prompt):
    row = {"prompt": [{"role": "user", "content": prompt}], "reward_model": {"ground_truth": "2"}}

    assert dapo_row(row) == ("What is 1+1?", "2")
