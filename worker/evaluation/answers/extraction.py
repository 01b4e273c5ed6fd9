r"""Where the answer stands in a response, a short text or a gold solution. Linear in the text.

Boxes that only separators stand between are one answer: `\boxed{1} and \boxed{2}` lists two numbers. In
all other cases the last box counts, so that a guess taken back is none.
"""

import re
from collections.abc import Iterator

from service.jobs.arithmetic import ANSWER_MARK
from worker.evaluation.answers.limits import MAX_ANSWER_CHARACTERS
from worker.evaluation.answers.sentences import answer_of_sentence
from worker.evaluation.verdicts import Rule

_THINK_START = "<think>"
_THINK_END = "</think>"
_BOXES_AND_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_BETWEEN_BOXES = re.compile(
    r"(?=.*(?:,|;|&|and|or))(?:\s|\$|,|;|&|\\[()\[\] ,;:!]|\\q?quad|and|or|\\(?:text|textbf|mbox)\s*\{\s*,?\s*(?:and|or)?\s*\})+"
    r"(?:[A-Za-z](?:_\{?\w\}?)?\s*=\s*)?",
    re.DOTALL,
)
_MAX_BETWEEN_BOXES = 60
# A gold solution names what its boxes hold: `\boxed{1} papers and \boxed{2} bins`.
_BETWEEN_GOLD_BOXES = re.compile(r"(?=.*(?:,|;|\band\b|\bor\b)).{0,25}", re.DOTALL)
_DOUBLED_BOX = re.compile(r"\\\\(?=boxed\s*\{)")


def extract(text: str, rule: Rule) -> str | None:
    """The answer of a response as it stands there; None without one."""
    if rule is Rule.ARITHMETIC:
        return extract_marked(text)
    if rule is Rule.BOXED:
        return extract_boxed(text)
    return extract_short(text)


def extract_marked(response_text: str) -> str | None:
    """What follows the last `#### ` on its line."""
    _, mark, rest = response_text.rpartition(ANSWER_MARK)
    if not mark:
        return None
    return rest.partition("\n")[0].strip()


def extract_boxed(response_text: str) -> str | None:
    r"""The content of the `\boxed{…}` whose braces balance last, outside of any thinking.

    Thinking that never ends holds no answer, and neither does a box that is not closed. Content is cut one
    character beyond MAX_ANSWER_CHARACTERS.
    """
    _, ended, answer_text = response_text.rpartition(_THINK_END)
    if not ended and _THINK_START in answer_text:
        return None
    return _last_boxes(answer_text, between=_BETWEEN_BOXES)


def extract_short(text: str) -> str | None:
    """The text, its box where it has one, or the answer that its one sentence ends on."""
    boxed = extract_boxed(text)
    if boxed is not None:
        return boxed
    text = text.strip()
    if len(text) > MAX_ANSWER_CHARACTERS:
        return text[: MAX_ANSWER_CHARACTERS + 1]
    return answer_of_sentence(text) or None


def gold_answer(gold: str) -> str:
    """A gold answer out of the box or the solution that it may come in."""
    if "boxed" not in gold:
        return gold.strip()
    text = _DOUBLED_BOX.sub(r"\\", gold)
    boxed = _last_boxes(text, between=_BETWEEN_GOLD_BOXES)
    if boxed is None:  # trusted, so that one which is cut off is still an answer
        return text.rpartition("boxed")[2].strip().removeprefix("{").strip()
    return boxed


def _last_boxes(text: str, *, between: re.Pattern[str]) -> str | None:
    """The content of the last box, with that of the boxes before it which only `between` parts from it."""
    contents: list[str] = []
    last_end = 0
    for start, end, content in _boxes(text):
        is_next = contents and 0 <= start - last_end <= _MAX_BETWEEN_BOXES
        if not is_next or not between.fullmatch(text, last_end, start):
            contents.clear()
        contents.append(content)
        last_end = end
    return ", ".join(dict.fromkeys(contents)) if contents else None


def _boxes(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and content of every box in the order of their ends, also of those within others."""
    # Where a box and its content start; None for any other brace.
    open_braces: list[tuple[int, int] | None] = []
    for token in _BOXES_AND_BRACES.finditer(text):
        symbol = token.group()
        if symbol == "}":
            start = open_braces.pop() if open_braces else None
            if start is not None:
                end = min(token.start(), start[1] + MAX_ANSWER_CHARACTERS + 1)
                yield start[0], token.end(), text[start[1] : end].strip()
        elif symbol.endswith("{") and symbol != r"\{":
            is_box = len(symbol) > 1
            open_braces.append((token.start(), token.end()) if is_box else None)
