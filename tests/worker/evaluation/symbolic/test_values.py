import mpmath
import pytest
import sympy
from mpmath import mpf

from worker.evaluation.symbolic.values import NotNumericError, TooLargeError, value_at

X = sympy.Symbol("x", real=True)


def unevaluated_power(base, exponent):
    return sympy.Pow(base, exponent, evaluate=False)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (X**2 + sympy.Rational(1, 2), 9.5),
        (unevaluated_power(sympy.Integer(-8), sympy.Rational(1, 3)), -2),
        (sympy.Sum(X, (X, 1, 100)), 5050),
        (sympy.Product(X, (X, 1, 5)), 120),
        (sympy.Integral(X**2, (X, 0, 3)), 9),
        (sympy.binomial(10, 5, evaluate=False), 252),
    ],
)
def test_values_are_worked_out_from_the_leaves(expression, value):
    assert mpmath.almosteq(value_at(expression, {X: mpf(3)}, is_complex=False), value)


@pytest.mark.parametrize(
    "expression",
    [
        unevaluated_power(9, unevaluated_power(9, unevaluated_power(9, 9))),
        sympy.factorial(10**6, evaluate=False),
        sympy.binomial(10**30, 10**29, evaluate=False),
        sympy.exp(10**9, evaluate=False),
    ],
)
def test_numbers_beyond_all_bounds_are_refused_and_not_tried(expression):
    with pytest.raises(TooLargeError):
        value_at(expression, {}, is_complex=False)


@pytest.mark.parametrize(
    "expression",
    [
        sympy.zoo,
        sympy.oo,
        X,
        unevaluated_power(0, -1),
        sympy.Sum(X, (X, 1, 10**9)),
        sympy.Function("f")(3),
        unevaluated_power(-1, sympy.Rational(1, 2)),
    ],
)
def test_what_has_no_real_value_raises(expression):
    with pytest.raises(NotNumericError):
        value_at(expression, {}, is_complex=False)
