"""Whether two answers are the same, part by part; what parts are equal is for an `Equality` to say."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from worker.evaluation.answers.rationals import as_rational, has_percent
from worker.evaluation.answers.reading import read_answer
from worker.evaluation.answers.texts import canonical_text
from worker.evaluation.answers.tree import (
    INTERVALS,
    Answer,
    Kind,
    Listing,
    Named,
    Relation,
    Value,
    renamed,
)

# Members without an order that are not literally the same are tried against each other up to so many.
MAX_UNMATCHED = 12

_UNORDERED = {Kind.BARE, Kind.SET}
_SETS = {Kind.SET, Kind.UNION, *INTERVALS}
_FUNCTION = re.compile(r"(.*[A-Za-z])\(([A-Za-z])\)")
_SUBSCRIPTED = re.compile(r"(.+)_(?:[0-9]|\{[0-9]+\})")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z]")
_LABEL = re.compile(r"(?=.*[a-z])[A-Za-z ]{4,}")  # `Area=5` gives no name to 5
_SET_NOTATION = re.compile(r"\\(?:mathbb|setminus|emptyset|cap)(?![A-Za-z])")
_MATRIX_NOTATION = re.compile(r"\\begin")


class Equality(Protocol):
    """Says whether parts are equal; None where it cannot tell."""

    def values(self, given: str, gold: str) -> bool | None: ...

    def relations(self, given: Relation, gold: Relation) -> bool | None: ...

    def wholes(self, given: Answer, gold: Answer, /) -> bool | None:
        """Of sets and matrices whose parts are not in step."""


def same_answers(given: str, gold: str, equality: Equality) -> bool | None:
    """Whether two normalised answers are the same; None where the equality could not tell."""
    return same(read_answer(given), read_answer(gold), equality)


def same(given: Answer, gold: Answer, equality: Equality) -> bool | None:
    """Whether the answers are the same; None where the equality could not tell."""
    if isinstance(given, Named) or isinstance(gold, Named):
        return _same_names(given, gold, equality)
    if isinstance(given, Relation) or isinstance(gold, Relation):
        if isinstance(given, Relation) and isinstance(gold, Relation):
            return equality.relations(given, gold)
        if isinstance(gold, Value) and isinstance(given, Relation) and _states_value(given):
            return equality.values(given.terms[-1], gold.text)
        other = gold if isinstance(given, Relation) else given
        return equality.wholes(given, gold) if _is_set(other) else False
    if isinstance(given, Value) and isinstance(gold, Value):
        return equality.values(given.text, gold.text)
    if isinstance(given, Listing) and isinstance(gold, Listing):
        return _same_listings(given, gold, equality)
    return _same_value_and_listing(given, gold, equality)


def render(answer: Answer) -> str:
    """A text that answers share where they differ at most in writing numbers, in names and in idle order."""
    match answer:
        case Value(text):
            number = None if has_percent(text) else as_rational(text)
            return canonical_text(text) if number is None else str(number)
        case Named(_, value):
            return render(value)
        case Relation(terms, signs):
            return "".join(term + sign for term, sign in zip(terms, (*signs, ""), strict=True))
        case Listing(kind, members):
            texts = [render(member) for member in members]
            if kind in _UNORDERED:
                return ",".join(sorted(set(texts)))
            if kind is Kind.UNION:
                return r"\cup".join(sorted(texts))
            return f"{kind[0]}{','.join(texts)}{kind[-1]}"


def _same_names(given: Answer, gold: Answer, equality: Equality) -> bool | None:
    """`x=5` is 5 and not `y=5`; beside an equation such as `2x-10=0` it is one too."""
    if isinstance(given, Relation) or isinstance(gold, Relation):
        equations = [_as_equation(each) for each in (given, gold)]
        if equations[0] and equations[1]:
            return equality.relations(equations[0], equations[1])
        named, relation = (given, gold) if isinstance(given, Named) else (gold, given)
        if not isinstance(named, Named) or not _mentions(relation, named.name):
            return False
        return equality.wholes(_unnamed(given), _unnamed(gold))
    if not isinstance(given, Named) or not isinstance(gold, Named):
        if _is_record(given) or _is_record(gold):
            given, gold = _as_record(given), _as_record(gold)
            if not isinstance(given, Named) and not isinstance(gold, Named):
                return same(given, gold, equality)
        return same(_unnamed(given), _unnamed(gold), equality)
    name, argument = _without_argument(given.name)
    gold_name, gold_argument = _without_argument(gold.name)
    is_one_label = bool(_LABEL.fullmatch(name)) != bool(_LABEL.fullmatch(gold_name))
    if name != gold_name and not is_one_label:
        return _same_equations(given, gold, equality)
    value = given.value
    if argument and gold_argument and not _mentions(value, gold_argument):
        value = renamed(value, argument, gold_argument)
    return same(value, gold.value, equality)


def _same_equations(given: Named, gold: Named, equality: Equality) -> bool | None:
    """`y=2x` is `x=y/2`; under different names, numbers are different."""
    equations = _as_equation(given), _as_equation(gold)
    if None in equations or not all(
        _LETTER.search(equation.terms[1]) for equation in equations if equation
    ):
        return False
    assert equations[0]
    assert equations[1]
    return equality.relations(equations[0], equations[1])


def _same_listings(given: Listing, gold: Listing, equality: Equality) -> bool | None:
    kinds = {given.kind, gold.kind}
    if kinds <= _UNORDERED:
        if _is_record(given) != _is_record(gold) and not _is_numbered(given, gold):
            return _in_order(given.members, gold.members, equality)
        return _in_any_order(given, gold, equality)
    if Kind.MATRIX in kinds:
        return _same_matrices(given, gold, equality)
    if Kind.UNION in kinds:
        equal = len(kinds) == 1 and _in_any_order(given, gold, equality)
        return equal or (equality.wholes(given, gold) if kinds <= _SETS | _UNORDERED else False)
    if kinds == {Kind.BARE, Kind.OPEN}:
        # `3,1` is (3,1), but `1,3` may be two numbers and (1,3) an interval.
        ordered, bare = (given, gold) if given.kind is Kind.OPEN else (gold, given)
        if _may_be_interval(ordered) and not _is_record(bare):
            return False
        return _in_order(given.members, gold.members, equality)
    return len(kinds) == 1 and _in_order(given.members, gold.members, equality)


def _same_matrices(given: Listing, gold: Listing, equality: Equality) -> bool | None:
    """A tuple is a matrix of one column or row with the same entries."""
    if given.kind is gold.kind:
        return _in_order(given.members, gold.members, equality)
    vectors = [
        _entries(each) if each.kind is Kind.MATRIX else each.members for each in (given, gold)
    ]
    if {given.kind, gold.kind} != {Kind.MATRIX, Kind.OPEN} or not all(vectors):
        return False
    return _in_order(vectors[0], vectors[1], equality)


def _same_value_and_listing(given: Answer, gold: Answer, equality: Equality) -> bool | None:
    value, listing = (given, gold) if isinstance(given, Value) else (gold, given)
    assert isinstance(value, Value)
    assert isinstance(listing, Listing)
    if not listing.members:
        return False
    if listing.kind is Kind.BARE or (listing.kind is Kind.SET and len(listing.members) == 1):
        # `15\frac{1}{2} or 31/2` is one value written twice.
        sides = [(value, each) if given is value else (each, value) for each in listing.members]
        return _all(same(one, other, equality) for one, other in sides)
    notation = _MATRIX_NOTATION if listing.kind is Kind.MATRIX else _SET_NOTATION
    if listing.kind in _SETS | {Kind.MATRIX} and notation.search(value.text):
        return equality.wholes(given, gold)
    return False


def _in_order(given: Sequence[Answer], gold: Sequence[Answer], equality: Equality) -> bool | None:
    if len(given) != len(gold):
        return False
    return _all(same(one, other, equality) for one, other in zip(given, gold, strict=True))


def _all(results: Iterable[bool | None]) -> bool | None:
    """False at the first False; None where none is False but one is None."""
    is_known = True
    for result in results:
        if result is False:
            return False
        is_known &= result is not None
    return True if is_known else None


def _in_any_order(given: Listing, gold: Listing, equality: Equality) -> bool | None:
    """As sets: a solution that is listed twice is one."""
    given_by_key = {_key(member): member for member in given.members}
    gold_by_key = {_key(member): member for member in gold.members}
    given_left = [given_by_key[key] for key in given_by_key if key not in gold_by_key]
    gold_left = [gold_by_key[key] for key in gold_by_key if key not in given_by_key]
    if len(given_left) != len(gold_left):
        return False
    if len(gold_left) > MAX_UNMATCHED:
        return None
    is_unknown = False
    for gold_member in gold_left:
        for index, given_member in enumerate(given_left):
            equal = same(given_member, gold_member, equality)
            is_unknown |= equal is None
            if equal:
                del given_left[index]
                break
    if given_left:
        return None if is_unknown else False
    return True


def _key(member: Answer) -> str:
    return (member.name if isinstance(member, Named) else "") + "=" + render(member)


def _unnamed(answer: Answer) -> Answer:
    return answer.value if isinstance(answer, Named) else answer


def _states_value(equation: Relation) -> bool:
    """`a+b=5` says what a+b is, while an equation in one variable is still to be solved."""
    left, right = equation.terms[0], equation.terms[-1]
    is_stated = equation.signs == ("=",) and not _LETTER.search(right)
    return is_stated and len(set(_LETTER.findall(left))) > 1


def _mentions(answer: Answer, variable: str) -> bool:
    return renamed(answer, variable, "") != answer


def _as_equation(answer: Answer) -> Relation | None:
    if isinstance(answer, Named) and isinstance(answer.value, Value):
        return Relation((answer.name, answer.value.text), ("=",))
    return answer if isinstance(answer, Relation) else None


def _as_record(answer: Answer) -> Answer:
    """`(p,q)=(3,2)` as `p=3,q=2`; anything else as it is."""
    if isinstance(answer, Named) and isinstance(answer.value, Listing):
        names = answer.name.strip("()").split(",")
        if len(names) == len(answer.value.members) > 1:
            named = map(Named, names, answer.value.members)
            return Listing(Kind.BARE, tuple(named))
    return answer


def _is_record(answer: Answer) -> bool:
    return isinstance(answer, Listing) and all(isinstance(each, Named) for each in answer.members)


def _is_numbered(*listings: Listing) -> bool:
    """Whether names only count the members, `x_1=2,x_2=3`, so that they give no order."""
    names = [
        each.name for listing in listings for each in listing.members if isinstance(each, Named)
    ]
    stems = [_SUBSCRIPTED.fullmatch(name) for name in names]
    return all(stems) and len({stem[1] for stem in stems if stem}) == 1


def _is_set(answer: Answer) -> bool:
    return isinstance(answer, Listing) and answer.kind in _SETS


def _may_be_interval(listing: Listing) -> bool:
    """Two members of which the first is not known to be at least the second."""
    if len(listing.members) != 2:
        return False
    left, right = (as_rational(render(member)) for member in listing.members)
    return left is None or right is None or left < right


def _without_argument(name: str) -> tuple[str, str | None]:
    """`f(x)` as `f` and `x`."""
    match = _FUNCTION.fullmatch(name)
    return (match[1], match[2]) if match else (name, None)


def _entries(matrix: Listing) -> tuple[Answer, ...]:
    """Of a matrix with one column or one row; nothing of any other."""
    rows = [row.members for row in matrix.members if isinstance(row, Listing)]
    if len(rows) == 1:
        return rows[0]
    return tuple(row[0] for row in rows) if all(len(row) == 1 for row in rows) else ()
