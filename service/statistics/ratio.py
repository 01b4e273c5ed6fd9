"""A ratio of two sums over units that were sampled, such as nats over tokens, and how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """Σ values / Σ sizes; the standard error over other units is None of a single one."""

    estimate: float
    standard_error: float | None


def ratio(values: Sequence[float], sizes: Sequence[int]) -> Ratio:
    """Of as many values as sizes, which are positive; a ValueError of none.

    Linearised: Var = n / (n − 1) · Σ (value − estimate · size)² / (Σ sizes)².
    """
    if not sizes:
        raise ValueError("a ratio needs at least one unit")
    total = sum(sizes)
    estimate = math.fsum(values) / total
    if len(sizes) == 1:
        return Ratio(estimate, None)
    rests = [value - estimate * size for value, size in zip(values, sizes, strict=True)]
    squares = math.fsum(rest * rest for rest in rests)
    return Ratio(estimate, math.sqrt(len(sizes) / (len(sizes) - 1) * squares) / total)
