"""Answers in one notation: the ways of writing LaTeX that do not change what an answer is."""

import re
from fractions import Fraction

MAX_DIGITS = 256

_TEXT_COMMANDS = (
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|mbox|hbox|operatorname)"
)
_TEXT = re.compile(_TEXT_COMMANDS + r"\s*\{([^{}]*)\}")
_UNIT = re.compile(
    r"(?<=[0-9}.])\s*" + _TEXT_COMMANDS + r"\s*\{([A-Za-z .]{1,40})\}\s*(?:\^\{?[23]\}?)?\s*\.?\s*$"
)
# Words that change the number before them, so that they are no unit.
_NO_UNIT = re.compile(
    r"\b(?:and|or|not|to|than|more|less|least|most|about|over|mod|base|percent|pct|half|dozens?|pairs?"
    r"|hundreds?|thousands?|millions?|billions?|trillions?)\b",
    re.IGNORECASE,
)

# (?<!\\) keeps the line break `\\` of a matrix whole.
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"−|–", "-"),
        (r"(?<!\\)\\displaystyle|(?<!\\)\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])", ""),
        (r"(?<!\\)\\[()\[\]]|\\?\$", ""),
        (r"\\%", "%"),
        (r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![A-Za-z])|°", ""),
        # 1,\!736 and 3{,}159 and 2\,107 and 1 000 and 1,000 with groups of three digits.
        (r"(?<=[0-9]),\s*\\!\s*(?=[0-9]{3}(?![0-9]))", ""),
        (r"(?<=[0-9])\{,\}(?=[0-9]{3}(?![0-9]))", ""),
        (r"(?<!\\)\\!", ""),
        (r"(?<!\\)\\[,;: ]|~|(?<!\\)\\q?quad(?![A-Za-z])|[^\S\n]+", " "),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\frac\s*([0-9])", r"\\frac{\1}"),
        (r"(\\frac\s*\{[^{}]*\})\s*([0-9])", r"\1{\2}"),
        (r"\\sqrt\s*([0-9A-Za-z])", r"\\sqrt{\1}"),
        (r"([_^])\s*\{([0-9A-Za-z])\}", r"\1\2"),
        (r"\\le(?:q|qslant)?(?![A-Za-z])", r"\\leq "),
        (r"\\ge(?:q|qslant)?(?![A-Za-z])", r"\\geq "),
        (r",?\s*\b(?:and|or)\b\s*", ","),
    )
)
_GROUPED_DIGITS = re.compile(r"([+-]?[0-9]{1,3})((?:,[0-9]{3})+|(?: [0-9]{3})+)((?:\.[0-9]*)?%?)")
# A space between two digits is kept: `1 2` is not `12`, nor is a number on the next line part of this one.
_IDLE_SPACE = re.compile(r"(?<![0-9])\s+|\s+(?![0-9])")

_DECIMAL = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_SIGNED = rf"[+-]?{_DECIMAL}"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?:"
    rf"(?P<decimal>{_DECIMAL})"
    rf"|(?P<whole>[0-9]+)?\\frac\{{(?P<top>{_SIGNED})\}}\{{(?P<bottom>{_SIGNED})\}}"
    rf"|(?:(?P<whole_slash>[0-9]+) )?(?P<top_slash>{_DECIMAL})/(?P<bottom_slash>{_DECIMAL})"
    rf")%?"
)
_LONG_DIGITS = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")

_NAMED_VALUE = re.compile(
    r"((?:[A-Za-z](?:_[0-9A-Za-z])?(?:\([A-Za-z]\))?|\([A-Za-z](?:,[A-Za-z])*\))=|[A-Za-z]\\in(?![A-Za-z]))"
    r"(?=[^=<>]*$)"
)
_IN_PARENTHESES = re.compile(r"\(([+-]?[0-9.]+|[A-Z])\)")
_OPENING, _CLOSING = "([{", ")]}"


def normalise(answer: str) -> str:
    """The answer without what does not change it: spacing, text styles, units, separators, full stop."""
    text = _without_unit(answer)
    text = _without_text_commands(text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.strip().rstrip(". \\")
    if grouped := _GROUPED_DIGITS.fullmatch(text):
        text = grouped[1] + re.sub("[, ]", "", grouped[2]) + grouped[3]
    text = _IDLE_SPACE.sub("", text)
    if wrapped := _IN_PARENTHESES.fullmatch(text):
        text = wrapped[1]
    return text


def as_rational(normalised: str) -> Fraction | None:
    """The value of an integer, decimal, fraction or mixed number; None for anything else.

    A percent sign is dropped. An improper fraction makes no mixed number.
    """
    if _LONG_DIGITS.search(normalised):
        return None
    match = _NUMBER.fullmatch(normalised)
    if match is None:
        return None
    if match["decimal"]:
        magnitude = Fraction(match["decimal"])
    else:
        top, bottom = (
            Fraction(match[name] or match[f"{name}_slash"]) for name in ("top", "bottom")
        )
        if bottom == 0:
            return None
        magnitude = top / bottom
        whole = match["whole"] or match["whole_slash"]
        if whole is not None:
            if not 0 <= magnitude < 1:
                return None
            magnitude += int(whole)
    return -magnitude if match["sign"] == "-" else magnitude


def has_percent(normalised: str) -> bool:
    return normalised.endswith("%")


def split_name(normalised: str) -> tuple[str, str]:
    r"""The name that an answer gives its value (`x=`, `(p,q)=`, `x\in`), empty without one, and the value."""
    match = _NAMED_VALUE.match(normalised)
    return (match[1], normalised[match.end() :]) if match else ("", normalised)


def canonical(value: str) -> str:
    """A string that is equal for equal values: numbers reduced, bare lists and sets in one order."""
    for opening, closing in ((r"\{", r"\}"), ("{", "}")):
        if value.startswith(opening) and value.endswith(closing):
            inner = value[len(opening) : len(value) - len(closing)]
            return ",".join(sorted(_canonical_element(part) for part in _split_list(inner)))
    parts = _split_list(value)
    if len(parts) > 1:
        return ",".join(sorted(_canonical_element(part) for part in parts))
    return _canonical_element(value)


def _canonical_element(element: str) -> str:
    """A number reduced, the members of a tuple or interval reduced in their order, else the text."""
    number = as_rational(element)
    if number is not None:
        return str(number)
    if len(element) > 1 and element[0] in "([" and element[-1] in ")]":
        members = _split_list(element[1:-1])
        if len(members) > 1:
            reduced = ((member, as_rational(member)) for member in members)
            inner = ",".join(text if value is None else str(value) for text, value in reduced)
            return element[0] + inner + element[-1]
    return element


def _split_list(text: str) -> list[str]:
    """The parts between commas that stand in no bracket; the text alone where brackets do not match."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
        if depth < 0:
            return [text]
    return [*parts, text[start:]] if depth == 0 else [text]


def _without_unit(answer: str) -> str:
    r"""`10\text{ cm}^2` without its unit; kept where the words change the number."""
    match = _UNIT.search(answer)
    if match is None or _NO_UNIT.search(match[1]):
        return answer
    return answer[: match.start()]


def _without_text_commands(text: str) -> str:
    r"""The text with `\text{…}` and its like opened, also inside one another and in `\boxed{…}`."""
    while True:
        opened = _TEXT.sub(r"\1", text)
        if boxed := re.fullmatch(r"\s*\\boxed\s*\{(.*)\}\s*", opened, re.DOTALL):
            opened = boxed[1]
        if opened == text:
            return text
        text = opened
