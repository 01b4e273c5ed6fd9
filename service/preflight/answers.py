"""What an answer has to be so that a response can be graded against it."""

import re
import unicodedata

ALLOWED_ANSWER = "an answer with a letter, digit or sign, its braces and `$` in pairs"
ESCAPED = re.compile(r"\\.", re.DOTALL)


def answer_fault(answer: str | None) -> str | None:
    """What is wrong with an answer, as the end of a sentence; None of one that can be normalised."""
    if answer is None or not answer.strip():
        return "has no answer, and without one its samples cannot be graded"
    if all(unicodedata.category(character)[0] in "PZC" for character in answer):
        return f"has the answer {answer!r}, which is only punctuation"
    if not _is_balanced(answer):
        return f"has the answer {_shortened(answer)!r}, whose braces or `$` are not in pairs"
    return None


def _is_balanced(answer: str) -> bool:
    """Braces nest and `$` come in pairs, those after a backslash not counted."""
    plain = ESCAPED.sub("", answer)
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0 and plain.count("$") % 2 == 0


def _shortened(answer: str) -> str:
    return answer if len(answer) <= 80 else f"{answer[:79]}…"
