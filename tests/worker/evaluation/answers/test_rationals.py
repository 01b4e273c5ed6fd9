from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.evaluation.answers.rationals import (
    agrees_to_all_digits,
    as_rational,
    is_rounding_of,
    same_percentage,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0042", Fraction(-42)),
        (".5", Fraction(1, 2)),
        ("4 4/9", Fraction(40, 9)),
        (r"-1\frac{1}{2}", Fraction(-3, 2)),
        (r"\frac{-1}{2}", Fraction(-1, 2)),
        (r"0.1\overline{6}", Fraction(1, 6)),
        (r"2.5\times10^{-3}", Fraction(1, 400)),
        ("1e5", Fraction(100000)),
        ("2^{10}", Fraction(1024)),
        ("28%", Fraction(28)),
    ],
)
def test_numbers_are_read_exactly(text, value):
    assert as_rational(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "1/0", "11 6/6", "1 2", "9^{9999}", "1e9999", "7" * 257, "1,2", "4210_7", "--5", "٤"],
)
def test_what_is_no_number_or_too_large_a_one_is_not_read(text):
    assert as_rational(text) is None


@given(st.fractions(max_denominator=10**6))
def test_every_fraction_is_read_back(value):
    assert as_rational(str(value)) == value


def test_a_decimal_rounds_a_fraction_only_to_eight_digits_or_more():
    third = Fraction(1, 3)
    assert is_rounding_of("0.33333333", third)
    assert not is_rounding_of("0.3333333", third)
    assert not is_rounding_of("0.33333334", third)
    # 5 is a decimal itself, so that nothing else rounds it.
    assert not is_rounding_of("5.00000001", Fraction(5))
    assert not is_rounding_of("1234567.9", Fraction("1234567.89"))


def test_the_last_digit_may_be_what_a_float_makes_of_it():
    # sqrt(2) = 1.41421356237309504880…, printed by a float as …0951.
    root = Fraction("1.41421356237309504880168872420969807857")
    assert agrees_to_all_digits("1.4142135623730951", root)
    assert not agrees_to_all_digits("1.4142135623731", root + Fraction(1, 10**12))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("28%", "28", True),
        ("12.50%", "12.5", True),
        (r"33\frac{1}{3}%", r"33\frac{1}{3}", True),
        ("4 4/9%", "40/9", False),
        ("0.5%", "0.5", False),
        ("1/2%", "1/2", False),
    ],
)
def test_a_percent_sign_may_be_left_out_of_what_is_no_part_of_one(one, other, same):
    assert same_percentage(one, other) is same
