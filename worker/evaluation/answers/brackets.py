"""Brackets of normalised LaTeX: what stands between separators that are in none of them."""

import re
from collections.abc import Collection
from itertools import pairwise

from worker.evaluation.answers.limits import MAX_NESTING

_TOKEN = re.compile(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENING = {"(", "[", "{", r"\{", r"\langle", r"\lfloor", r"\lceil"}
_CLOSING = {")", "]", "}", r"\}", r"\rangle", r"\rfloor", r"\rceil"}


def tokens_of(text: str) -> list[str]:
    """Commands, the begins and ends of environments, and single characters."""
    return _TOKEN.findall(text)


def split_outside(text: str, separators: Collection[str]) -> list[str]:
    """The parts between separators that stand in no bracket; the text alone where brackets do not match."""
    cuts = [
        (position, position + len(token))
        for position, token, depth in levels_of(text)
        if depth == 0 and token in separators
    ]
    edges = [(0, 0), *cuts, (len(text), len(text))]
    return [text[end:start] for (_, end), (start, _) in pairwise(edges)]


def levels_of(text: str) -> list[tuple[int, str, int]]:
    """Position, token and bracket depth of every token; nothing where brackets do not match."""
    levels = []
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        closes = token in _CLOSING or token.startswith(r"\end{")
        depth -= closes
        if depth < 0:
            return []
        levels.append((match.start(), token, depth))
        depth += token in _OPENING or token.startswith(r"\begin{")
        if depth > MAX_NESTING:
            return []
    return levels if depth == 0 else []


def is_enclosed(text: str) -> bool:
    """Whether the first token opens a bracket that the last one closes."""
    levels = levels_of(text)
    return bool(levels) and sum(depth == 0 for _, _, depth in levels) == 2
