"""What is too long, too deep or too large for algebra, told from the text alone."""

import re

MAX_ANSWER_CHARACTERS = 1000
MAX_NESTING = 64
MAX_DIGITS = 256
MAX_EXPONENT_DIGITS = 4

_LONG_NUMBER = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")
_LONG_EXPONENT = re.compile(
    rf"(?:(?:\^|\*\*)[\s{{(]*[+-]?|[0-9.][eE][+-]?|\\sqrt\s*\[\s*)[0-9]{{{MAX_EXPONENT_DIGITS + 1}}}"
)


def exceeds_limits(answer: str) -> bool:
    return (
        len(answer) > MAX_ANSWER_CHARACTERS
        or _LONG_NUMBER.search(answer) is not None
        or _LONG_EXPONENT.search(answer) is not None
        or _nesting(answer) > MAX_NESTING
    )


def _nesting(text: str) -> int:
    """How many brackets are open at most, whatever their kind."""
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest
