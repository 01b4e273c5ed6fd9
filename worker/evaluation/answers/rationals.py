"""Numbers as exact fractions, from every way in which answers write them. Nothing is evaluated."""

import math
import re
from fractions import Fraction

from worker.evaluation.answers.limits import MAX_DIGITS

MIN_ROUNDED_DIGITS = 8

_DECIMAL = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_SIGNED = rf"[+-]?{_DECIMAL}"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?:"
    rf"(?P<decimal>{_DECIMAL})(?:(?:\\(?:times|cdot|ast)10\^\{{?|[eE])(?P<exponent>[+-]?[0-9]{{1,3}})\}}?)?"
    rf"|(?P<whole>[0-9]+)?\\frac\{{(?P<top>{_SIGNED})\}}\{{(?P<bottom>{_SIGNED})\}}"
    rf"|(?:(?P<whole_slash>[0-9]+) )?(?P<top_slash>{_DECIMAL})/(?P<bottom_slash>{_DECIMAL})"
    rf"|(?P<head>[0-9]*\.[0-9]*)(?:\\overline|\\bar|\\dot)\{{(?P<period>[0-9]+)\}}"
    rf"|(?P<base>[0-9]+)\^\{{?(?P<power>[0-9]+)\}}?"
    rf")%?"
)
_LONG_DIGITS = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")
_MANTISSA = re.compile(r"[+-]?0*([0-9]*)\.([0-9]+)")


def as_rational(normalised: str) -> Fraction | None:
    """The value of an integer, decimal, fraction, mixed number or power; None for anything else.

    A percent sign is dropped. An improper fraction makes no mixed number. Also None beyond MAX_DIGITS.
    """
    if _LONG_DIGITS.search(normalised):
        return None
    match = _NUMBER.fullmatch(normalised)
    if match is None:
        return None
    magnitude = _magnitude(match)
    if magnitude is None:
        return None
    return -magnitude if match["sign"] == "-" else magnitude


def has_percent(normalised: str) -> bool:
    return normalised.endswith("%")


def same_percentage(one: str, other: str) -> bool:
    """Whether two equal numbers, one of which carries a percent sign, may stand for one another.

    `28%` and `28` may: what per cent was asked for. `4 4/9 %` and `40/9` may not, nor `0.5%` and `0.5`: a
    bare fraction or a number below one says a part of one.
    """
    one, other = one.rstrip("%"), other.rstrip("%")
    value = as_rational(one)
    is_part_of_one = value is None or (abs(value) < 1 and value != 0)
    is_same_text = one == other and not is_part_of_one
    return is_same_text or not (is_part_of_one or re.search(r"/|\\frac", one + other))


def is_rounding_of(decimal: str, value: Fraction) -> bool:
    """Whether a decimal is a fraction that has no finite decimal, to all of its digits."""
    return not _is_finite_decimal(value) and agrees_to_all_digits(decimal, value)


def agrees_to_all_digits(decimal: str, value: Fraction) -> bool:
    """Whether a decimal of at least MIN_ROUNDED_DIGITS digits is the value, rounded.

    The last digit may be off by what a float of 64 bits loses.
    """
    mantissa = _MANTISSA.match(decimal)
    number = None if has_percent(decimal) else as_rational(decimal)
    if mantissa is None or not number:
        return False
    digits = (mantissa[1] + mantissa[2]).lstrip("0")
    if len(digits) < MIN_ROUNDED_DIGITS:
        return False
    last_place = abs(number) / int(digits)
    return abs(number - value) <= max(last_place / 2, abs(value) / 10**15)


def _is_finite_decimal(value: Fraction) -> bool:
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def _magnitude(match: re.Match[str]) -> Fraction | None:
    if match["decimal"]:
        scale = Fraction(10) ** int(match["exponent"]) if match["exponent"] else 1
        return Fraction(match["decimal"]) * scale
    if match["period"]:
        whole, _, fixed = match["head"].partition(".")
        repeating = Fraction(int(match["period"]), 10 ** len(match["period"]) - 1)
        return Fraction(f"{whole or 0}.{fixed or 0}") + repeating / 10 ** len(fixed)
    if match["base"]:
        base, power = int(match["base"]), int(match["power"][:5])
        if len(match["power"]) > 4 or power * math.log10(max(base, 2)) > MAX_DIGITS:
            return None
        return Fraction(base**power)
    top, bottom = (Fraction(match[name] or match[f"{name}_slash"]) for name in ("top", "bottom"))
    if bottom == 0:
        return None
    whole = match["whole"] or match["whole_slash"]
    if whole is None:
        return top / bottom
    return int(whole) + top / bottom if 0 <= top / bottom < 1 else None
