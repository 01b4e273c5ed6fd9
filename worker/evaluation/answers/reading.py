"""Reads the tree of an answer from its normalised text.

Brackets that do not match, and nesting beyond what is followed, leave the text as one value.
"""

import re

from worker.evaluation.answers.brackets import is_enclosed, levels_of, split_outside, tokens_of
from worker.evaluation.answers.rationals import as_rational
from worker.evaluation.answers.tree import (
    INTERVALS,
    Answer,
    Kind,
    Listing,
    Named,
    Relation,
    Value,
)

_BRACKETED = {
    ("(", ")"): Kind.OPEN,
    (r"\langle", r"\rangle"): Kind.OPEN,
    ("[", "]"): Kind.CLOSED,
    ("(", "]"): Kind.OPEN_CLOSED,
    ("[", ")"): Kind.CLOSED_OPEN,
    (r"\{", r"\}"): Kind.SET,
    ("{", "}"): Kind.BARE,  # invisible in LaTeX
}
_MATRIX = re.compile(
    r"[(\[]?\\begin\{(?P<type>[pbB]?(?:small)?matrix|array)\}(?:\{[lcr|]*\})?(?P<rows>.*)\\end\{(?P=type)\}[)\]]?",
    re.DOTALL,
)
_CASES = re.compile(r"\\begin\{cases\}(?P<rows>[^&]*)\\end\{cases\}", re.DOTALL)
_SET_BUILDER = re.compile(
    r"\\\{([A-Za-z])(?:\\in\\mathbb\{R\})?[|:](?P<condition>.+)\\\}", re.DOTALL
)
_SIGNS = {"=", "<", ">", r"\leq", r"\geq", r"\neq", r"\in", r"\approx"}
_ASCENDING = {"<": "<", r"\leq": r"\leq", ">": "<", r"\geq": r"\leq"}
_VARIABLE = re.compile(r"(?:[A-Za-z]|\\(?:theta|alpha|beta|lambda|phi) ?)(?:_(?:\w|\{\w+\}))?")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z]")
# What a name may hold besides letters; subscripts and arguments are taken out before.
_NAME = re.compile(
    r"(?=.*[A-Za-z])(?:[A-Za-z'|:,()\[\]{}/ ]"
    r"|\\(?!sqrt|infty|pi(?![A-Za-z])|[pm]{2}|cdot|times|cup|cap|begin|end|dots|binom|sum|int|unit)[A-Za-z]++)+"
)
_NOT_IN_NAMES = re.compile(r"_(?:\{[^{}]*\}|\\?\w)|(?<=[A-Za-z'}])\([^()]*\)|\^\{-1\}")


def read_answer(normalised: str) -> Answer:
    """The tree of an answer; `p=5,q=2;p=7,q=2` lists two tuples."""
    groups = [group for group in split_outside(normalised, {";"}) if group]
    if len(groups) < 2:
        return _read_list(normalised.strip(";"))
    members = [_read_list(group) for group in groups]
    return _listing(
        Kind.BARE,
        [
            Listing(Kind.OPEN, member.members)
            if isinstance(member, Listing) and member.kind is Kind.BARE
            else member
            for member in members
        ],
    )


def _is_name(text: str) -> bool:
    r"""Whether the left side of an equation only says what is given: `x_1`, `f(2)`, `|AB|`, `\frac{NO}{BO}`, `S:T`."""
    return _NAME.fullmatch(_NOT_IN_NAMES.sub("", text)) is not None


def _read_list(text: str) -> Answer:
    """Parts between commas; a name before the first of them names them all: `n=1,2,3`."""
    parts = split_outside(text, {","})
    if len(parts) == 1:
        return _read_element(text)
    members = [_read_element(part) for part in parts if part]
    if interval := _both_bounds(members):
        return interval
    first = members[0] if members else Value("")
    if isinstance(first, Named) and all(
        member.name == first.name if isinstance(member, Named) else not isinstance(member, Relation)
        for member in members
    ):
        values = [member.value if isinstance(member, Named) else member for member in members]
        return Named(first.name, _listing(Kind.BARE, values))
    return _listing(Kind.BARE, members)


def _read_element(text: str) -> Answer:
    alternatives = split_outside(text, {r"\lor"})
    if len(alternatives) > 1:
        return _read_alternatives(text, [_read_element(part) for part in alternatives])
    terms, signs = _relation(text)
    if r"\approx" in signs[not terms[0] :]:
        # `1/3 \approx .33` is 1/3; where nothing else follows the name, the approximation is the answer.
        end = signs.index(r"\approx")
        if end == 0 and _is_name(terms[0]):
            signs[0], end = "=", 1
        terms, signs = terms[: end + 1], signs[:end]
    if signs and not terms[0] and signs[0] in {"=", r"\approx"}:  # `= 5`
        terms, signs = terms[1:], signs[1:]
    if not signs:
        return _read_value(terms[0])
    if not all(terms):
        return Value(text)
    if signs == [r"\in"]:
        return Named(terms[0], _read_value(terms[1])) if _is_name(terms[0]) else Value(text)
    if set(signs) == {"="}:
        return _read_equation(terms)
    return _read_inequality(text, terms, signs)


def _read_equation(terms: list[str]) -> Answer:
    """Of a chain `x=5+5=10` the last value counts; `2+3=5` is 5, `2=x` is `x=2`."""
    first, last = terms[0], terms[-1]
    if _is_name(first):
        return Named(first, _read_value(last))
    if len(terms) == 2 and _is_name(last):
        return Named(last, _read_value(first))
    if not _LETTER.search(first):
        return _read_value(last)
    return Relation(tuple(terms[-2:]), ("=",))


def _read_inequality(text: str, terms: list[str], signs: list[str]) -> Answer:
    r"""`a<x\leq b` and its like for one variable name an interval; any other is a relation, `<` and `\leq` only."""
    if signs == [r"\neq"]:
        return Relation(tuple(terms), (r"\neq",))
    if not set(signs) <= set(_ASCENDING) or len({_ASCENDING[sign] != sign for sign in signs}) > 1:
        return Value(text)
    if _ASCENDING[signs[0]] != signs[0]:
        terms, signs = terms[::-1], signs[::-1]
    signs = [_ASCENDING[sign] for sign in signs]
    if len(terms) == 2 and _VARIABLE.fullmatch(terms[0]):
        terms, signs = ["-\\infty", *terms], ["<", *signs]
    elif len(terms) == 2 and _VARIABLE.fullmatch(terms[1]):
        terms, signs = [*terms, "\\infty"], [*signs, "<"]
    if len(terms) == 3 and _VARIABLE.fullmatch(terms[1]) and not {terms[1]} & {terms[0], terms[2]}:
        kind = _BRACKETED["(" if signs[0] == "<" else "[", ")" if signs[1] == "<" else "]"]
        return Named(terms[1], Listing(kind, (_read_value(terms[0]), _read_value(terms[2]))))
    return Relation(tuple(terms), tuple(signs))


def _both_bounds(members: list[Answer]) -> Named | None:
    r"""`x>1,x<3` as the interval (1,3)."""
    bounds = [(member.name, member.value) for member in members if isinstance(member, Named)]
    if len(members) != 2 or len(bounds) != 2 or bounds[0][0] != bounds[1][0]:
        return None
    upper, lower = (value for _, value in sorted(bounds, key=lambda bound: not _is_upper(bound[1])))
    if not (isinstance(upper, Listing) and isinstance(lower, Listing) and _is_upper(upper)):
        return None
    if lower.kind not in INTERVALS or lower.members[1:] != (Value(r"\infty"),):
        return None
    left, right = lower.members[0], upper.members[1]
    ends = [as_rational(end.text) if isinstance(end, Value) else None for end in (left, right)]
    if ends[0] is None or ends[1] is None or ends[0] >= ends[1]:
        return None
    return Named(bounds[0][0], Listing(Kind(lower.kind[0] + upper.kind[1]), (left, right)))


def _is_upper(value: Answer) -> bool:
    return (
        isinstance(value, Listing)
        and value.kind in INTERVALS
        and value.members[:1] == (Value(r"-\infty"),)
    )


def _read_alternatives(text: str, members: list[Answer]) -> Answer:
    r"""`x<1 or x>3` as the union of the intervals."""
    names = {member.name for member in members if isinstance(member, Named)}
    values = [member.value for member in members if isinstance(member, Named)]
    if len(values) < len(members) or len(names) != 1:
        return Value(text)
    return Named(names.pop(), Listing(Kind.UNION, tuple(values)))


def _read_value(text: str) -> Answer:
    text = text.strip()
    if (matrix := _MATRIX.fullmatch(text)) and r"\begin" not in matrix["rows"]:
        return _read_matrix(matrix["rows"])
    if (cases := _CASES.fullmatch(text)) and r"\begin" not in cases["rows"]:
        rows = [row.strip(", \n") for row in split_outside(cases["rows"], {r"\\"})]
        return _listing(Kind.BARE, [_read_element(row) for row in rows if row])
    if builder := _SET_BUILDER.fullmatch(text):
        return _read_element(builder["condition"])
    tokens = tokens_of(text)
    if len(tokens) > 1 and (kind := _BRACKETED.get((tokens[0], tokens[-1]))) and is_enclosed(text):
        inner = "".join(tokens[1:-1])
        parts = split_outside(inner, {",", ";"})
        if len(parts) > 1 or kind is Kind.SET:
            return _listing(kind, [_read_element(part) for part in parts if part])
        if kind in {Kind.OPEN, Kind.BARE} and inner:
            return _read_element(inner)
    parts = split_outside(text, {r"\cup"})
    if len(parts) > 1:
        return Listing(Kind.UNION, tuple(_read_value(part) for part in parts))
    if r"\pm" in tokens or r"\mp" in tokens:
        return _listing(
            Kind.BARE, [_read_value(_with_signs(tokens, *pair)) for pair in ("+-", "-+")]
        )
    return Value(text)


def _with_signs(tokens: list[str], plus: str, minus: str) -> str:
    signs = {r"\pm": plus, r"\mp": minus}
    return "".join(signs.get(token, token) for token in tokens).lstrip("+").replace("(+", "(")


def _read_matrix(rows: str) -> Answer:
    cells = [split_outside(row, {"&"}) for row in split_outside(rows, {r"\\"})]
    if cells and cells[-1] in ([""], ["\n"]):
        cells.pop()
    return Listing(
        Kind.MATRIX,
        tuple(Listing(Kind.ROW, tuple(_read_value(cell) for cell in row)) for row in cells),
    )


def _listing(kind: Kind, members: list[Answer]) -> Answer:
    r"""A listing into which bare lists within it are put: `\{1\pm2,5\}` has three members.

    A bare list that only repeats one member is that member.
    """
    flat: list[Answer] = []
    for member in members:
        is_bare = isinstance(member, Listing) and member.kind is Kind.BARE
        flat.extend(member.members if is_bare and isinstance(member, Listing) else [member])
    if kind is Kind.BARE and flat and flat.count(flat[0]) == len(flat):
        return flat[0]
    if kind is Kind.SET and not flat:
        return Value(r"\emptyset")
    return Listing(kind, tuple(flat))


def _relation(text: str) -> tuple[list[str], list[str]]:
    terms, signs = [], []
    start = 0
    for position, token, depth in levels_of(text):
        if depth == 0 and token in _SIGNS:
            terms.append(text[start:position].strip())
            signs.append(token)
            start = position + len(token)
    terms.append(text[start:].strip())
    return terms, signs
