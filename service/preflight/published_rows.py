"""The problem and its answer in a row as the publishers of problem sets write them."""

from collections.abc import Mapping
from typing import Any

PROBLEM_KEYS = ("problem", "question", "prompt")
GSM8K_ANSWER_MARK = "####"
DAPO_INSTRUCTION = (
    "Solve the following math problem step by step. The last line of your response should be of the "
    "form Answer: $Answer (without quotes) where $Answer is the answer to the problem."
)
DAPO_REMINDER = 'Remember to put your answer on its own line after "Answer:".'


def plain_row(row: Mapping[str, Any]) -> tuple[str, str | None]:
    """Problem, empty where the row has none, and answer."""
    problems = (_text_of_problem(row.get(key)) for key in PROBLEM_KEYS)
    return next(filter(None, problems), ""), _text_of_answer(row.get("answer"))


def gsm8k_row(row: Mapping[str, Any]) -> tuple[str, str | None]:
    """The published answer is a solution that ends in `#### 1,234`: here, `1234`."""
    problem, answer = plain_row(row)
    if answer is None:
        return problem, None
    return problem, answer.rpartition(GSM8K_ANSWER_MARK)[2].strip().replace(",", "")


def dapo_row(row: Mapping[str, Any]) -> tuple[str, str | None]:
    """The bare problem: the published prompts ask for a last line `Answer: …` before and after it."""
    problem, answer = plain_row(row)
    bare = problem.removeprefix(DAPO_INSTRUCTION).strip().removesuffix(DAPO_REMINDER).strip()
    reward_model = row.get("reward_model")
    if answer is None and isinstance(reward_model, Mapping):
        answer = _text_of_answer(reward_model.get("ground_truth"))
    return bare, answer


def _text_of_problem(value: object) -> str:
    """Of a chat, what its last message says."""
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        value = value[-1].get("content")
    return value.strip() if isinstance(value, str) else ""


def _text_of_answer(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(int(value)) if float(value).is_integer() else str(value)
