"""The answer that a short sentence ends on: `The answer is 42.`, `There are 4 and 4/9 remain`.

Only for texts that are given as answers; a whole response is never mined for a number. Mathematics between
`$…$` is one word, and the last run of words that are no prose is the answer.
"""

import re

from worker.evaluation.answers.units import NO_UNIT, is_unit

_WORD = re.compile(r"\$\$.+?\$\$|\$(?:\\\$|[^$])+\$|\\\(.+?\\\)|\\\[.+?\\\]|[^\s$]+|\$", re.DOTALL)
_PROSE = re.compile(r"\**[A-Za-z][A-Za-z'’\-]+[.,:;!?*]*|[A-Za-z][.]{2,}|I")
_NO_PROSE = re.compile(r"(?:and|or|percent|percentage|pct|pi|infinity|in)[.,]?", re.IGNORECASE)
_VALUE = re.compile(r".*[0-9].*|\$.+|\\[(\[].+|\(?[A-E]\)?\.?", re.DOTALL)
_NEGATION = re.compile(r"(?:not|isn['’]t|never|than)[.,]?", re.IGNORECASE)
_LEADING = re.compile(r"(?:and|or|in)\s+", re.IGNORECASE)
_OPEN_END = re.compile(r".*\s(?:and|or|in)", re.IGNORECASE | re.DOTALL)
_GLUED_UNIT = re.compile(r"(?<=[0-9])(?:mm|cm|m|km|in|ft)[²³]?$")


def answer_of_sentence(text: str) -> str:
    """The text itself, unless it is prose with a value in it."""
    words = _WORD.findall(text)
    are_prose = [_is_prose(word) for word in words]
    values = [
        index for index, word in enumerate(words) if not are_prose[index] and _VALUE.fullmatch(word)
    ]
    if not any(are_prose) or not values:
        return text
    start = end = values[-1]
    while end < len(words) and not are_prose[end]:
        end += 1
    while start > 0 and not are_prose[start - 1]:
        start -= 1
    run = " ".join(words[start:end]).strip(" .,:;*€£")
    answer = _GLUED_UNIT.sub("", run[match.end() :] if (match := _LEADING.match(run)) else run)
    is_open = _OPEN_END.fullmatch(run)  # `3 and above`
    is_negated = start > 0 and _NEGATION.fullmatch(words[start - 1])
    is_scaled = end < len(words) and NO_UNIT.match(words[end])
    if is_open or is_negated or is_scaled or answer.count("{") != answer.count("}"):
        return text
    return answer


def _is_prose(word: str) -> bool:
    return (
        _PROSE.fullmatch(word) is not None
        and _NO_PROSE.fullmatch(word) is None
        and not is_unit(word.rstrip(".,"))
    )
