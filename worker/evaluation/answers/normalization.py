"""Answers in one notation: the ways of writing LaTeX that do not change what an answer is."""

import re

from worker.evaluation.answers.units import mark_units

_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|textnormal|mathrm|mathbf|mathit|mathsf|boldsymbol|mbox|hbox"
    r"|operatorname\*?)\s*\{([^{}]*)\}"
)
_BOXED = re.compile(r"\s*\\boxed\s*\{(.*)\}\s*", re.DOTALL)
_INEQUALITY = re.compile(r"[<>]|\\[lg](?:t|e|eq|eqslant)(?![A-Za-z])|[≤≥]")
# Commands of two letters and more; doubled backslashes before them come from escaping, not from a line break.
_DOUBLED_BACKSLASH = re.compile(
    r"(?<!\\)\\\\(?=(?:[dtc]?frac|sqrt|left|right|text|mathrm|mathbb|boxed|begin|end|pi|infty|cup|cap|cdot|times"
    r"|leq?|geq?|neq?|pm|in|sin|cos|tan|log|ln|theta|alpha|beta|quad|circ|binom)(?![a-z]))"
)
_CHARACTERS = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "×": r"\times ",
        "÷": r"\div ",
        "·": r"\cdot ",
        "⋅": r"\cdot ",
        "≤": r"\leq ",
        "≥": r"\geq ",
        "≠": r"\neq ",
        "≈": r"\approx ",
        "±": r"\pm ",
        "∈": r"\in ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∅": r"\emptyset ",
        "∞": r"\infty ",
        "π": r"\pi ",
        "θ": r"\theta ",
        "ℝ": r"\mathbb{R}",
        "°": r"^\circ ",
        "²": "^2",
        "³": "^3",
        "½": r"\frac{1}{2}",
        "’": "'",
        "′": "'",
    }
)

# (?<!\\) keeps the line break `\\` of a matrix whole.
_LAYOUT: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<!\\)\\(?:displaystyle|textstyle|limits|left|right|[bB]igg?[lr]?)(?![A-Za-z])", ""),
        (r"\{\s*\\(?:rm|bf|it)(?![A-Za-z])\s*([^{}]*)\}", r"\\text{\1}"),
        # `$125$ miles`: words behind closed mathematics are text.
        (r"^\s*(\$[^$]+\$)\s+([A-Za-z][A-Za-z .]{0,40})$", r"\1\\text{ \2}"),
        (r"(?<!\\)\\[()\[\]]|\\?\$|[€£]", ""),
        (
            r"(?<=[0-9}\s])\s*(?:\\text\s*\{\s*(?:percent(?:age)?|pct\.?)\s*\}|(?:percent(?:age)?|pct)\b\.?)",
            "%",
        ),
        (r"\\%", "%"),
        # 1,\!736 and 3{,}159 and 2\,107 and 1 000 and 1,000 with groups of three digits.
        (r"(?<=[0-9]),\s*\\!\s*(?=[0-9]{3}(?![0-9]))", ""),
        (r"(?<=[0-9])\s*\{,\}\s*(?=[0-9]{3}(?![0-9]))", ""),
        (r"(?<!\\)\\!", ""),
        (r"(?<!\\)\\[,;: ]|~|(?<!\\)\\q?quad|[^\S\n]+", " "),
    )
)
_NOTATION: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (r"\\left(?=[|.])|\\right(?=[|.])|\\mid(?![A-Za-z])|\\[lr]?vert(?![A-Za-z])", "|"),
        (r"\\lbrace(?![A-Za-z])", r"\\{"),
        (r"\\rbrace(?![A-Za-z])", r"\\}"),
        (r"\\l?ldots(?![A-Za-z])|\\cdots(?![A-Za-z])|\\dots(?![A-Za-z])|…", r"\\dots "),
        (r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
        (r"(?:\\Bbb|\\mathbb)\s*\{?([CNQRZ])\}?(?![A-Za-z])", r"\\mathbb{\1}"),
        (r"\\R(?![A-Za-z])", r"\\mathbb{R}"),
        (r"(?<=[)\]])\s*U\s*(?=[(\[])", r"\\cup "),
        (r"(?<![A-Za-z\\])(?:infinity|infty|inf|oo)(?![A-Za-z])", r"\\infty "),
        (r"\+\s*\\infty", r"\\infty"),
        (
            r"(?<![A-Za-z\\])(sqrt|pi|theta|sin|cos|tan|cot|sec|csc|ln|log|exp|arcsin|arccos|arctan)(?=[(\s*+\-/^)0-9]|$)",
            r"\\\1 ",
        ),
        # `\sqrt10` is typeset as √1·0 and never meant so.
        (r"(?:√|\\sqrt)\s*([0-9]{2,}|(?<=√)[0-9])", r"\\sqrt{\1}"),
        (r"√", r"\\sqrt "),
        (r"\*\*", "^"),
        (r"\^\s*(-[0-9]+|[0-9]{2,})", r"^{\1}"),
        (r"\*", r"\\cdot "),
        (r"\\le(?:q|qslant)?(?![A-Za-z])|<=", r"\\leq "),
        (r"\\ge(?:q|qslant)?(?![A-Za-z])|>=", r"\\geq "),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\neq?(?![A-Za-z])|!=|\\not\s*=", r"\\neq "),
        (r"\\colon(?![A-Za-z])", ":"),
    )
)
_DEGREES = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![A-Za-z])")
_TRIGONOMETRIC = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc)")
_AND = re.compile(r",?\s*(?<![A-Za-z\\])(?:and|\\land|\\wedge)(?![a-z])\s*")
_OR = re.compile(r",?\s*(?<![A-Za-z\\])(?:or|\\lor|\\vee)(?![a-z])\s*")
_GROUPED_DIGITS = re.compile(
    r"(^|=\s*)([+-]?[1-9][0-9]{0,2})((?:,[0-9]{3})+|(?: [0-9]{3})+)(?=(?:\.[0-9]*| [0-9]+/[0-9]+)?\s*%?\s*(?:\\unit\{\w+\})?$)"
)
# A space between two digits is kept: `1 2` is not `12`, nor is a number on the next line part of this one.
_IDLE_SPACE = re.compile(r"(?<![0-9])\s+|\s+(?![0-9])")
_COMMAND_SPACE = re.compile(r"(\\[A-Za-z]+)\s+(?=[A-Za-z])")
_TAKES_ARGUMENTS = re.compile(
    r"(\\frac|\\binom|\\sqrt|\^)(?:(?<=sqrt)\[[^\[\]]*\])?(?=(?<!\^).|\()"
)
_NUM_ARGUMENTS = {r"\frac": 2, r"\binom": 2, r"\sqrt": 1, "^": 1}
_ARGUMENT = re.compile(r"\\[A-Za-z]+|[0-9A-Za-z]")
_IN_PARENTHESES = re.compile(r"\(([+-]?[0-9.]+|[A-Z])\)")
_ONE_IN_BRACES = re.compile(r"([_^])\s*\{([0-9A-Za-z])\}")


def normalise(answer: str) -> str:
    r"""The answer without what does not change it: spacing, text styles, separators, full stop.

    A measure such as `cm` stays as `\unit{cm}` behind its number, any other word there is dropped.
    """
    text = _DOUBLED_BACKSLASH.sub(r"\\", answer.strip(" *").translate(_CHARACTERS))
    for pattern, replacement in _LAYOUT:
        text = pattern.sub(replacement, text)
    text = _without_text_commands(mark_units(text))
    for pattern, replacement in _NOTATION:
        text = pattern.sub(replacement, text)
    text = _DEGREES.sub(r"\\frac{\\pi}{180}" if _TRIGONOMETRIC.search(text) else "", text)
    # For values `1 or 2` lists both; for conditions it is another one than `1 and 2`.
    text = _OR.sub(r"\\lor " if _INEQUALITY.search(text) else ",", _AND.sub(",", text))
    text = text.strip().rstrip(". \\").lstrip("+")
    text = _GROUPED_DIGITS.sub(
        lambda match: match[1] + match[2] + re.sub("[, ]", "", match[3]), text
    )
    text = _COMMAND_SPACE.sub(r"\1{}", text)
    text = _IDLE_SPACE.sub("", text).replace("{}", " ")
    text = _ONE_IN_BRACES.sub(r"\1\2", _with_braces(text))
    if wrapped := _IN_PARENTHESES.fullmatch(text):
        text = wrapped[1]
    return text


def _without_text_commands(text: str) -> str:
    r"""The text with `\text{…}` and its like opened, also inside one another and in `\boxed{…}`."""
    while True:
        opened = _TEXT.sub(r"\1", text)
        if boxed := _BOXED.fullmatch(opened):
            opened = boxed[1]
        if opened == text:
            return text
        text = opened


def _with_braces(text: str) -> str:
    r"""Every argument of `\frac`, `\binom` and `\sqrt`, and every exponent `^(…)`, in braces; inner ones first."""
    for match in reversed(list(_TAKES_ARGUMENTS.finditer(text))):
        command = match[1]
        position = match.end()
        arguments: list[str] = []
        while len(arguments) < _NUM_ARGUMENTS[command]:
            end = _end_of_argument(text, position)
            if end is None:
                break
            argument = text[position:end]
            arguments.append(argument[1:-1] if argument[0] in "{(" else argument)
            position = end
        else:
            braced = "".join("{" + argument + "}" for argument in arguments)
            text = text[: match.end()] + braced + text[position:]
    return text


def _end_of_argument(text: str, start: int) -> int | None:
    """Where the group, command, digit or letter that starts there ends; None where nothing can be one."""
    if start >= len(text):
        return None
    if text[start] in "{(":
        depth = 0
        for position in range(start, len(text)):
            depth += (text[position] in "{(") - (text[position] in "})")
            if depth == 0:
                return position + 1
        return None
    match = _ARGUMENT.match(text, start)
    return match.end() if match else None
