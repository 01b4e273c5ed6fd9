"""Answers that are words, times of day or ratios rather than numbers or expressions."""

import re
from fractions import Fraction

_COMMAND = re.compile(r"\\[A-Za-z]+")
# Four letters in a row are a word: a product of so many variables is not written without a sign.
_WORD = re.compile(r"[A-Za-z]{4,}")
_WORDS_ONLY = re.compile(r"(?=.*[A-Za-z]{3}|[Nn][Oo]$)[A-Za-z'!?\- ]+")
_TIME = re.compile(r"[0-9]{1,2}:[0-5][0-9]")
_RATIO = re.compile(r"([0-9]+):([0-9]+)")


def canonical_text(text: str) -> str:
    """Words without capitals, a time of day without zero seconds, a ratio in lowest terms; else the text."""
    if _WORDS_ONLY.fullmatch(text):
        return text.casefold()
    if (time := text.removesuffix(":00")) != text and _TIME.fullmatch(time):
        return time
    ratio = as_ratio(text)
    return text if ratio is None else f"{ratio.numerator}:{ratio.denominator}"


def as_ratio(text: str) -> Fraction | None:
    """The value of `3:4`, unless it may be a time of day."""
    match = _RATIO.fullmatch(text)
    if match is None or _TIME.fullmatch(text) or not int(match[2]):
        return None
    return Fraction(int(match[1]), int(match[2]))


def has_words(text: str) -> bool:
    return _WORD.search(_COMMAND.sub(" ", text)) is not None
