"""Equality of the parts of answers by algebra. Runs in processes that can be killed, and nowhere else.

Expressions are compared by their values, relations by the ratio of their sides' differences, sets and
matrices as sympy's; what only math-verify can compare is left to it.
"""

from fractions import Fraction
from itertools import pairwise

import sympy
from math_verify.grader import verify

from worker.evaluation.answers.exact import ExactEquality
from worker.evaluation.answers.rationals import agrees_to_all_digits, as_rational
from worker.evaluation.answers.reading import read_answer
from worker.evaluation.answers.tree import Answer, Kind, Listing, Named, Relation, Value
from worker.evaluation.answers.units import without_units
from worker.evaluation.symbolic.expressions import read_expression, read_matrix
from worker.evaluation.symbolic.identity import constant, identical, ratio

_SYMMETRIC = {"=", r"\neq"}
_COMPARISONS = {"<": sympy.Lt, r"\leq": sympy.Le}
_INFINITE = {r"\infty": sympy.oo, r"-\infty": -sympy.oo}
_SETS = {
    r"\mathbb{R}": sympy.S.Reals,
    r"\mathbb{Z}": sympy.S.Integers,
    r"\mathbb{N}": sympy.S.Naturals,
    r"\mathbb{Q}": sympy.S.Rationals,
    r"\mathbb{C}": sympy.S.Complexes,
    r"\emptyset": sympy.S.EmptySet,
}


class AlgebraicEquality:
    """An `Equality` that asks the exact one first."""

    def __init__(self) -> None:
        self._exact = ExactEquality()

    def values(self, given: str, gold: str) -> bool | None:
        equal = self._exact.values(given, gold)
        if equal is not None:
            return equal
        given, gold = without_units(given), without_units(gold)
        one, other = read_expression(given), read_expression(gold)
        if one is None or other is None:
            return None
        if _is_rounding(given, other) or _is_rounding(gold, one):
            return True
        return identical(one, other)

    def relations(self, given: Relation, gold: Relation) -> bool | None:
        """Equations with the same zeros, by a constant factor; inequalities likewise, or with the same solutions."""
        if self._exact.relations(given, gold):
            return True
        if given.signs == gold.signs and len(given.signs) == 1:
            one, other = _difference(given), _difference(gold)
            if one is None or other is None:
                return None
            factor = ratio(one, other)
            if factor is not None and (factor > 0 or given.signs[0] in _SYMMETRIC):
                return True
        if _SYMMETRIC & {*given.signs, *gold.signs} or _variables(given) != _variables(gold):
            return False
        return self.wholes(given, gold)

    def wholes(self, given: Answer, gold: Answer, /) -> bool | None:
        matrices = _matrix(given), _matrix(gold)
        if matrices[0] is not None and matrices[1] is not None:
            return _same_matrices(matrices[0], matrices[1])
        sets = _set(given), _set(gold)
        if sets[0] is None or sets[1] is None:
            return None
        return _is_verified(sets[0], sets[1])


def _is_rounding(decimal: str, expression: sympy.Expr) -> bool:
    if as_rational(decimal) is None:
        return False
    value = constant(expression)
    if value is None:
        return False
    sign, mantissa, exponent, _ = value._mpf_  # the number without loss
    fraction = (-1) ** sign * int(mantissa) * Fraction(2) ** int(exponent)
    return agrees_to_all_digits(decimal, fraction)


def _variables(relation: Relation) -> set[sympy.Symbol]:
    sides = filter(None, map(read_expression, relation.terms))
    return {symbol for side in sides for symbol in side.free_symbols}


def _difference(relation: Relation) -> sympy.Expr | None:
    """The right side less the left one."""
    left, right = (read_expression(term) for term in relation.terms)
    if left is None or right is None:
        return None
    return sympy.Add(right, sympy.Mul(-1, left, evaluate=False), evaluate=False)


def _matrix(answer: Answer) -> sympy.MatrixBase | None:
    if isinstance(answer, Value):
        return read_matrix(answer.text) if r"\begin" in answer.text else None
    if not isinstance(answer, Listing) or answer.kind is not Kind.MATRIX:
        return None
    rows = [row.members for row in answer.members if isinstance(row, Listing)]
    entries = [[_expression(entry) for entry in row] for row in rows]
    if len({len(row) for row in entries}) != 1 or any(None in row for row in entries):
        return None
    return sympy.Matrix(entries)


def _same_matrices(given: sympy.MatrixBase, gold: sympy.MatrixBase) -> bool | None:
    if given.shape != gold.shape:
        return False
    results = [identical(one, other) for one, other in zip(given.flat(), gold.flat(), strict=True)]
    if False in results:
        return False
    return None if None in results else True


def _set(answer: Answer) -> sympy.Set | None:
    match answer:
        case Named(_, value):
            return _set(value)
        case Value(text):
            return _set_of_text(text)
        case Relation(terms, signs):
            return _solutions(terms, signs)
        case Listing(Kind.UNION, members):
            parts = [_set(member) for member in members]
            return None if None in parts else sympy.Union(*parts)
        case Listing(Kind.SET | Kind.BARE, members):
            elements = [_expression(member) for member in members]
            return None if None in elements else sympy.FiniteSet(*elements)
        case Listing(
            Kind.OPEN | Kind.CLOSED | Kind.OPEN_CLOSED | Kind.CLOSED_OPEN as kind, members
        ):
            ends = [_end(member) for member in members]
            if len(ends) != 2 or None in ends:
                return None
            return sympy.Interval(*ends, left_open=kind[0] == "(", right_open=kind[1] == ")")
    return None


def _set_of_text(text: str) -> sympy.Set | None:
    whole, *excluded = text.split(r"\setminus")
    sets = [_SETS.get(whole.strip()), *(_set(read_answer(part)) for part in excluded)]
    if None in sets:
        return None
    return sympy.Complement(sets[0], sympy.Union(*sets[1:])) if excluded else sets[0]


def _solutions(terms: tuple[str, ...], signs: tuple[str, ...]) -> sympy.Set | None:
    """Of inequalities in one variable."""
    sides = [read_expression(term) for term in terms]
    if None in sides or len(set().union(*(side.free_symbols for side in sides if side))) != 1:
        return None
    pairs = zip(signs, pairwise(sides), strict=True)
    conditions = [_COMPARISONS[sign](*pair) for sign, pair in pairs if sign in _COMPARISONS]
    if len(conditions) != len(signs):
        return None
    try:
        return sympy.And(*conditions).as_set()
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        return None  # what sympy raises for inequalities that it cannot solve


def _end(answer: Answer) -> sympy.Expr | None:
    """The end of an interval; None where it holds a variable, so that its order to the other is not known."""
    if isinstance(answer, Value) and answer.text in _INFINITE:
        return _INFINITE[answer.text]
    expression = _expression(answer)
    return None if expression is None or constant(expression) is None else expression.doit()


def _expression(answer: Answer) -> sympy.Expr | None:
    return read_expression(without_units(answer.text)) if isinstance(answer, Value) else None


def _is_verified(given: sympy.Basic, gold: sympy.Basic) -> bool:
    """What math-verify says; the alarm around this process is the limit, not its own."""
    return bool(verify(gold, given, float_rounding=15, timeout_seconds=None))
