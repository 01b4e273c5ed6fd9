"""Whether expressions are identical, told from their values in high precision at a few fixed points.

A difference that is zero to forty digits at every point is zero; simplifying it instead can take for ever. Points
where any part of an expression is not real are passed over, so that `log(x^2)` is `2 log(x)` but sqrt(x^2) is
not x.
"""

import random
from collections.abc import Iterator, Sequence
from typing import cast

import mpmath
import sympy
from mpmath import mpc, mpf

from worker.evaluation.symbolic.values import (
    NotNumericError,
    Point,
    TooLargeError,
    num_digits_before_point,
    real_part,
    value_at,
)

MIN_POINTS = 3
MAX_POINTS = 16
DIGITS = 60
# `2^{1/2^{1000}}` is not 1.
MANY_DIGITS = 600

# Work that takes more digits than it is sure to give.
_APPROXIMATED = (sympy.Integral, sympy.Sum)


def identical(one: sympy.Expr, other: sympy.Expr) -> bool | None:
    """Whether two expressions have the same value wherever both are real; None where too few points tell."""
    if not _symbols(one, other):
        return _same_constants(one, other)
    num_equal = 0
    for first, second in _values(one, other):
        if not _is_close(first, second):
            return False
        num_equal += 1
    return True if num_equal >= MIN_POINTS else None


def ratio(one: sympy.Expr, other: sympy.Expr) -> mpf | None:
    """The constant that one expression is of the other, neither being one; None where too few points tell."""
    with mpmath.workdps(DIGITS):
        pairs = [pair for pair in _values(one, other) if 0 not in pair]
        ratios = [first / second for first, second in pairs]
        is_constant = all(_is_close(pairs[0][0], first) for first, _ in pairs)
        if len(ratios) < MIN_POINTS or is_constant:
            return None
        return ratios[0] if all(_is_close(ratios[0], each) for each in ratios) else None


def constant(expression: sympy.Expr) -> mpf | None:
    """The real value of an expression without variables, to about DIGITS digits; None of any other."""
    if expression.free_symbols:
        return None
    try:
        with mpmath.workdps(DIGITS):
            return real_part(value_at(expression, {}, is_complex=True))
    except NotNumericError:
        return None


def _same_constants(one: sympy.Expr, other: sympy.Expr) -> bool | None:
    """Compared to a fixed number of digits behind the point."""
    is_approximated = one.has(*_APPROXIMATED) or other.has(*_APPROXIMATED)
    try:
        for digits in (DIGITS,) if is_approximated else (DIGITS, MANY_DIGITS):
            if not _agree(one, other, digits=digits):
                return False
    except NotNumericError:
        return None
    return True


def _agree(one: sympy.Expr, other: sympy.Expr, *, digits: int) -> bool:
    """Raises NotNumericError. A number beyond all bounds does not agree with one within them."""
    first, second = _constant(one, digits), _constant(other, digits)
    if mpmath.inf in {first, second}:
        if first == second:
            raise TooLargeError
        return False
    num_digits = int(num_digits_before_point(first))
    are_alike = abs(first - second) < abs(first) * mpf(10) ** -(digits // 2)
    if num_digits > digits / 4 and are_alike:
        first, second = (_constant(each, digits + num_digits) for each in (one, other))
    zero = mpf(10) ** (-digits * 2 // 3)
    size = max(abs(first), abs(second))
    return bool(abs(first - second) <= zero * min(size, 1) or size <= zero)


def _constant(expression: sympy.Expr, digits: int) -> mpc:
    """Infinite where the value is beyond all bounds."""
    try:
        with mpmath.workdps(digits):
            return value_at(expression, {}, is_complex=True)
    except TooLargeError:
        return mpmath.inf


def _values(one: sympy.Expr, other: sympy.Expr) -> Iterator[tuple[mpc, mpc]]:
    """The values of both at the points where both have one, of DIGITS digits."""
    symbols = _symbols(one, other)
    is_complex = one.has(sympy.I) or other.has(sympy.I)
    num_found = 0
    for points in (_points(symbols), _integer_points(symbols)):
        for point in points:
            try:
                with mpmath.workdps(DIGITS):
                    pair = (
                        value_at(one, point, is_complex=is_complex),
                        value_at(other, point, is_complex=is_complex),
                    )
            except NotNumericError:
                continue
            num_found += 1
            yield pair
        if num_found >= MIN_POINTS:
            return


def _points(symbols: Sequence[sympy.Symbol]) -> Iterator[Point]:
    """All positive, all negative and mixed; near zero, near one and far from both."""
    chooser = random.Random(0)  # noqa: S311 the same points for every verdict
    for trial in range(MAX_POINTS):
        scale = (2, 10, 500)[trial % 3]
        magnitudes = [mpf(chooser.randint(1, 10**6)) * scale / 10**6 for _ in symbols]
        signs = [(1, -1, 1, chooser.choice((1, -1)))[trial % 4] for _ in symbols]
        yield {
            symbol: sign * magnitude
            for symbol, sign, magnitude in zip(symbols, signs, magnitudes, strict=True)
        }


def _integer_points(symbols: Sequence[sympy.Symbol]) -> Iterator[Point]:
    """For what is real at integers alone, such as `(-1)^n`."""
    chooser = random.Random(1)  # noqa: S311 as above
    for _ in range(2 * MIN_POINTS):
        yield {symbol: mpf(chooser.randint(1, 40)) for symbol in symbols}


def _symbols(*expressions: sympy.Expr) -> list[sympy.Symbol]:
    symbols = {symbol for expression in expressions for symbol in expression.free_symbols}
    return sorted(symbols, key=lambda symbol: cast("str", symbol.name))


def _is_close(first: mpc, second: mpc) -> bool:
    """To two thirds of the digits that they were worked out to; the rest is what rounding may cost."""
    zero = mpf(10) ** (-DIGITS * 2 // 3)
    size = max(abs(first), abs(second))
    return abs(first - second) <= zero * size or size < zero
