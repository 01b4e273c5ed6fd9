"""The value of an expression at a point, in the precision that mpmath is set to.

Worked out from the leaves, so that `9^(9^9)` is refused instead of tried: magnitudes are bounded, functions are
those of a list. sympy's own evaluation would do neither, and compile code on the way.
"""

from collections.abc import Callable, Mapping

import mpmath
import sympy
from mpmath import mpc, mpf

MAX_LOG10 = 20_000
MAX_TERMS = 2_000

Point = Mapping[sympy.Symbol, mpf]


class NotNumericError(ValueError):
    """An expression has no value at a point, or one that is not worked out here."""


class TooLargeError(NotNumericError):
    """A number beyond 10^MAX_LOG10 came up."""


def value_at(expression: sympy.Expr, point: Point, *, is_complex: bool) -> mpc:
    """Raises NotNumericError, also for a part that is not real unless complex numbers are allowed."""
    try:
        value = _evaluate(expression, point, is_complex=is_complex)
    except NotNumericError:
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        raise NotNumericError(str(error)) from None
    if not mpmath.isfinite(value):
        raise NotNumericError("not finite")
    if num_digits_before_point(value) > MAX_LOG10:
        raise TooLargeError
    if not is_complex and real_part(value) is None:
        raise NotNumericError("not real")
    return value


def real_part(value: mpc) -> mpf | None:
    """None where the imaginary part is more than rounding."""
    if isinstance(value, mpf):
        return value
    rounding = mpf(10) ** (-mpmath.mp.dps * 2 // 3)
    return value.real if abs(value.imag) <= rounding * max(1, abs(value.real)) else None


def num_digits_before_point(value: mpc) -> float:
    with mpmath.workdps(15):
        size = abs(value)
        return float(mpmath.log10(size)) if size > 1 else 0.0


def _evaluate(expression: sympy.Expr, point: Point, *, is_complex: bool) -> mpc:
    if expression.is_Rational:
        return _rational(expression)
    if expression in point:
        return point[expression]
    if expression in _CONSTANTS:
        return _CONSTANTS[expression]()
    if isinstance(expression, sympy.Sum | sympy.Product | sympy.Integral):
        return _over_range(expression, point, is_complex=is_complex)
    arguments = [value_at(argument, point, is_complex=is_complex) for argument in expression.args]
    if isinstance(expression, sympy.Pow):
        return _real_root(expression.exp, *arguments) or _power(*arguments)
    function = _FUNCTIONS.get(type(expression))
    if function is None:
        raise NotNumericError(type(expression).__name__)
    return function(*arguments)


def _over_range(expression: sympy.Expr, point: Point, *, is_complex: bool) -> mpc:
    """A sum, product or integral over one index."""
    if len(expression.limits) != 1 or len(expression.limits[0]) != 3:
        raise NotNumericError("not one index with two bounds")
    index, *bounds = expression.limits[0]
    first, last = (_bound(bound, point, is_complex=is_complex) for bound in bounds)

    def term(at: mpf) -> mpc:
        return value_at(expression.function, {**point, index: mpf(at)}, is_complex=is_complex)

    if isinstance(expression, sympy.Integral):
        return mpmath.quad(term, [first, last])
    if isinstance(expression, sympy.Sum) and last == mpmath.inf:
        return mpmath.nsum(term, [int(first), last])
    if not first == int(first) <= last == int(last) <= first + MAX_TERMS:
        raise NotNumericError("no range of integers, or too long a one")
    terms = [term(at) for at in range(int(first), int(last) + 1)]
    return mpmath.fsum(terms) if isinstance(expression, sympy.Sum) else mpmath.fprod(terms)


def _bound(bound: sympy.Expr, point: Point, *, is_complex: bool) -> mpf:
    if bound in {sympy.oo, -sympy.oo}:
        return mpmath.inf if bound == sympy.oo else -mpmath.inf
    real = real_part(value_at(bound, point, is_complex=is_complex))
    if real is None:
        raise NotNumericError("a bound that is not real")
    return real


def _rational(number: sympy.Rational) -> mpf:
    if max(abs(number.p), number.q).bit_length() > MAX_LOG10 * 4:
        raise TooLargeError
    return mpf(number.p) / number.q


def _power(base: mpc, exponent: mpc) -> mpc:
    if base == 0:
        if mpmath.re(exponent) <= 0:
            raise NotNumericError("0 to a power that is not positive")
        return mpf(0)
    with mpmath.workdps(15):
        if abs(mpmath.re(exponent * mpmath.log10(base))) > MAX_LOG10:
            raise TooLargeError
    return mpmath.power(base, exponent)


def _real_root(power: sympy.Expr, base: mpc, exponent: mpc) -> mpc | None:
    """The cube root of -8 is -2; None where the base is not negative or the root not odd."""
    is_odd_root = power.is_Rational and power.q % 2 == 1 and power.q > 1
    if not is_odd_root or not isinstance(base, mpf) or base >= 0:
        return None
    return _power(-base, exponent) * (-1 if power.p % 2 else 1)


def _at_most(value: mpc, bound: int) -> mpc:
    if abs(value) > bound:
        raise TooLargeError
    return value


_FUNCTIONS: dict[type, Callable[..., mpc]] = {
    sympy.Add: lambda *arguments: mpmath.fsum(arguments),
    sympy.Mul: lambda *arguments: mpmath.fprod(arguments),
    sympy.exp: lambda argument: _power(mpmath.e, argument),
    sympy.log: lambda argument, base=mpmath.e: mpmath.log(argument) / mpmath.log(base),
    sympy.sin: mpmath.sin,
    sympy.cos: mpmath.cos,
    sympy.tan: mpmath.tan,
    sympy.cot: mpmath.cot,
    sympy.sec: mpmath.sec,
    sympy.csc: mpmath.csc,
    sympy.asin: mpmath.asin,
    sympy.acos: mpmath.acos,
    sympy.atan: mpmath.atan,
    sympy.sinh: lambda argument: mpmath.sinh(_at_most(argument, 2 * MAX_LOG10)),
    sympy.cosh: lambda argument: mpmath.cosh(_at_most(argument, 2 * MAX_LOG10)),
    sympy.tanh: lambda argument: mpmath.tanh(_at_most(argument, 2 * MAX_LOG10)),
    sympy.factorial: lambda argument: mpmath.factorial(_at_most(argument, 6_000)),
    sympy.binomial: lambda upper, lower: mpmath.binomial(
        _at_most(upper, 60_000), _at_most(lower, 60_000)
    ),
    sympy.Abs: abs,
    sympy.floor: mpmath.floor,
    sympy.ceiling: mpmath.ceil,
    sympy.Max: max,
    sympy.Min: min,
}
_CONSTANTS: dict[sympy.Expr, Callable[[], mpc]] = {
    sympy.pi: lambda: +mpmath.pi,
    sympy.E: lambda: +mpmath.e,
    sympy.I: lambda: mpc(0, 1),
    sympy.EulerGamma: lambda: +mpmath.euler,
}
