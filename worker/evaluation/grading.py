"""Verdicts on responses: is the answer that a model gave the one of the benchmark?

Two layers. The first extracts the answer; the second normalises both sides and compares them as
integers, rationals or strings. Symbolic equality (`(r+5)^2` against `(r+5)(r+5)`) would be a third
layer, which is not here: what the second cannot decide counts as wrong and says `undecided`. Graded text
is hostile input: nothing is evaluated, extraction is linear in the response, and an answer beyond
`MAX_ANSWER_CHARACTERS` is not looked into.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from service.jobs.arithmetic import ANSWER_MARK
from worker.evaluation.normalization import (
    as_rational,
    canonical,
    has_percent,
    normalise,
    split_name,
)

MAX_ANSWER_CHARACTERS = 1000

_THINK_START = "<think>"
_THINK_END = "</think>"
_BOXES_AND_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")


class Rule(StrEnum):
    """Where a benchmark's responses carry their answer and how it is compared."""

    ARITHMETIC = "arithmetic"
    BOXED = "boxed"


class Outcome(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"


class Layer(StrEnum):
    """What decided a verdict; `undecided` is an outcome `wrong` by default."""

    EXTRACTION = "extraction"
    INTEGER = "integer"
    RATIONAL = "rational"
    STRING = "string"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`extracted` is the answer as the model wrote it, cut to MAX_ANSWER_CHARACTERS; None without one."""

    outcome: Outcome
    layer: Layer
    extracted: str | None


def grade(response_text: str, *, gold: str, rule: Rule) -> Verdict:
    """The verdict on a response, given the right answer."""
    extract = extract_marked if rule is Rule.ARITHMETIC else extract_boxed
    extracted = extract(response_text)
    if not extracted:
        return Verdict(Outcome.NO_ANSWER, Layer.EXTRACTION, None)
    if len(extracted) > MAX_ANSWER_CHARACTERS:
        return Verdict(Outcome.WRONG, Layer.UNDECIDED, extracted[:MAX_ANSWER_CHARACTERS])
    compare = compare_digits if rule is Rule.ARITHMETIC else compare_answers
    right, layer = compare(extracted, gold)
    return Verdict(Outcome.RIGHT if right else Outcome.WRONG, layer, extracted)


def extract_marked(response_text: str) -> str | None:
    """What follows the last `#### ` on its line."""
    _, mark, rest = response_text.rpartition(ANSWER_MARK)
    if not mark:
        return None
    return rest.partition("\n")[0].strip()


def extract_boxed(response_text: str) -> str | None:
    r"""The content of the `\boxed{…}` whose braces balance last, outside of any thinking.

    Thinking that never ends holds no answer, and neither does a box that is not closed.
    """
    _, ended, answer_text = response_text.rpartition(_THINK_END)
    if not ended and _THINK_START in answer_text:
        return None
    content: str | None = None
    open_braces: list[int | None] = []  # where a box's content starts; None for any other brace
    for token in _BOXES_AND_BRACES.finditer(answer_text):
        text = token.group()
        if text == "}":
            start = open_braces.pop() if open_braces else None
            if start is not None:
                content = answer_text[start : min(token.start(), start + MAX_ANSWER_CHARACTERS + 1)]
        elif text.endswith("{") and text != r"\{":
            open_braces.append(token.end() if len(text) > 1 else None)
    return None if content is None else content.strip()


def compare_digits(given: str, gold: str) -> tuple[bool, Layer]:
    """Whether the answer is the same string of digits, leading zeros included."""
    return _DIGITS.fullmatch(given) is not None and given == gold, Layer.STRING


def compare_answers(given: str, gold: str) -> tuple[bool, Layer]:
    """Whether two answers are equal after normalisation, and as what they were compared."""
    given_name, given_value = split_name(normalise(given))
    gold_name, gold_value = split_name(normalise(gold))
    if given_name and gold_name and given_name != gold_name:
        return False, Layer.UNDECIDED
    given_number, gold_number = as_rational(given_value), as_rational(gold_value)
    if given_number is not None and gold_number is not None:
        equal = given_number == gold_number
        # 50 % against .5: whether they are equal is a matter of what was asked.
        if not equal and has_percent(given_value) != has_percent(gold_value):
            return False, Layer.UNDECIDED
        both_integers = given_number.denominator == gold_number.denominator == 1
        return equal, Layer.INTEGER if both_integers else Layer.RATIONAL
    equal = canonical(given_value) == canonical(gold_value)
    return equal, Layer.STRING if equal else Layer.UNDECIDED
