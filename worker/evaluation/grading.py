"""Verdicts on responses: is the answer that a model gave the one of the benchmark?

The first layer extracts the answer; the second normalises both sides and compares them, part by part, as
integers, rationals or strings. What it cannot decide is a question for the third, algebra, which runs in
processes of its own (`worker.evaluation.grader`). Graded text is hostile input: nothing of it is evaluated here,
extraction is linear in the response, and an answer beyond MAX_ANSWER_CHARACTERS is not looked into.
"""

import hashlib
import re
import time
from dataclasses import replace

from worker.evaluation.answers.comparison import render, same_answers
from worker.evaluation.answers.exact import ExactEquality
from worker.evaluation.answers.extraction import extract, gold_answer
from worker.evaluation.answers.limits import MAX_ANSWER_CHARACTERS, exceeds_limits
from worker.evaluation.answers.normalization import normalise
from worker.evaluation.answers.reading import read_answer
from worker.evaluation.answers.units import without_units
from worker.evaluation.symbolic.questions import Question
from worker.evaluation.verdicts import Layer, Outcome, Rule, Verdict

__all__ = ["Layer", "Outcome", "Rule", "Verdict", "examine", "gold_problem", "grade"]

MAX_KEY_CHARACTERS = 200

_DIGITS = re.compile(r"[0-9]+")
# `\textbf{(C) }12`: a choice by its letter and its value.
_CHOICE = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf)\s*\{\s*\(([A-E])\)\s*\}(?:\s|~|\\[ ,;:]|\\q?quad)*(.+)",
    re.DOTALL,
)
_LETTER = re.compile(r"[A-E]")
_DECIMAL_COMMA = re.compile(r"\$?\s*([+-]?[0-9]+),([0-9]{2,})\s*\$?")
_DECIMAL_POINT = re.compile(r"[+-]?[0-9]+\.[0-9]+")


def grade(response_text: str, *, gold: str, rule: Rule) -> Verdict:
    """The verdict of the first two layers; what they cannot decide is wrong, by the layer `undecided`."""
    return examine(response_text, gold=gold, rule=rule)[0]


def examine(response_text: str, *, gold: str, rule: Rule) -> tuple[Verdict, Question | None]:
    """The verdict of the first two layers, and what the third one has to be asked to decide it."""
    started = time.perf_counter()
    verdict, question = _examine(response_text, gold, rule)
    milliseconds = (time.perf_counter() - started) * 1000
    return replace(verdict, milliseconds=milliseconds), question


def gold_problem(gold: str, rule: Rule) -> str | None:
    """Why nothing can be graded against a gold answer, as a clause; None where it can."""
    if rule is Rule.ARITHMETIC:
        return None if _DIGITS.fullmatch(gold) else "is not a string of digits"
    answer = gold_answer(gold)
    if len(answer) > MAX_ANSWER_CHARACTERS:
        return f"has {len(answer):,} characters, of which {MAX_ANSWER_CHARACTERS:,} can be compared"
    if not normalise(answer):
        return "is empty after normalisation"
    braces = re.sub(r"\\.", "", answer, flags=re.DOTALL)
    if braces.count("{") != braces.count("}"):
        return "has braces that do not match"
    return None


def _examine(response_text: str, gold: str, rule: Rule) -> tuple[Verdict, Question | None]:
    extracted = extract(response_text, rule)
    if not extracted:
        return Verdict(Outcome.NO_ANSWER, Layer.EXTRACTION, None), None
    if len(extracted) > MAX_ANSWER_CHARACTERS:
        extracted = extracted[:MAX_ANSWER_CHARACTERS]
        key = _short_key(extracted)
        return Verdict(Outcome.WRONG, Layer.LIMIT, extracted, key), None
    if rule is Rule.ARITHMETIC:
        outcome = Outcome.RIGHT if _same_digits(extracted, gold) else Outcome.WRONG
        return Verdict(outcome, Layer.STRING, extracted, _short_key(extracted)), None
    return _compare(response_text, extracted, gold_answer(gold), rule)


def _compare(
    response_text: str, extracted: str, gold: str, rule: Rule
) -> tuple[Verdict, Question | None]:
    given = normalise(_without_choice(extracted, beside=gold))
    key = _answer_key(given)
    if len(gold) > MAX_ANSWER_CHARACTERS:
        return Verdict(Outcome.WRONG, Layer.LIMIT, extracted, key), None
    gold_given = normalise(_without_choice(gold, beside=extracted))
    is_sentence = rule is Rule.SHORT and len(response_text) <= MAX_ANSWER_CHARACTERS
    if is_sentence and normalise(response_text) == gold_given:
        return Verdict(Outcome.RIGHT, Layer.STRING, extracted, key), None
    given, gold_given = _with_decimal_points(extracted, given, gold, gold_given)
    equality = ExactEquality()
    equal = same_answers(given, gold_given, equality)
    if equal is not None:
        outcome = Outcome.RIGHT if equal else Outcome.WRONG
        return Verdict(outcome, equality.layer, extracted, key), None
    if exceeds_limits(extracted) or exceeds_limits(gold):
        return Verdict(Outcome.WRONG, Layer.LIMIT, extracted, key), None
    undecided = Verdict(Outcome.WRONG, Layer.UNDECIDED, extracted, key)
    return undecided, Question(given, gold_given)


def _without_choice(answer: str, *, beside: str) -> str:
    """What a choice says of the two things that it says: its letter beside a letter, else its value."""
    choice = _CHOICE.fullmatch(answer)
    if choice is None or _CHOICE.fullmatch(beside):
        return answer
    return choice[1] if _LETTER.fullmatch(normalise(beside)) else choice[2]


def _with_decimal_points(extracted: str, given: str, gold: str, gold_given: str) -> tuple[str, str]:
    """`2,74` as 2.74 where the other side is a decimal; a list of two numbers everywhere else."""
    if (comma := _DECIMAL_COMMA.fullmatch(extracted)) and _DECIMAL_POINT.fullmatch(gold_given):
        given = f"{comma[1]}.{comma[2]}"
    if (comma := _DECIMAL_COMMA.fullmatch(gold)) and _DECIMAL_POINT.fullmatch(given):
        gold_given = f"{comma[1]}.{comma[2]}"
    return given, gold_given


def _answer_key(normalised: str) -> str:
    """A text that answers share where they are the same without algebra; percent signs and units left out."""
    return _short_key(render(read_answer(without_units(normalised).removesuffix("%"))))


def _short_key(key: str) -> str:
    if len(key) <= MAX_KEY_CHARACTERS:
        return key
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _same_digits(given: str, gold: str) -> bool:
    """The same string of digits, leading zeros included."""
    return _DIGITS.fullmatch(given) is not None and given == gold
