"""Quantiles of Student's t for whole degrees of freedom: how wide an interval from a few seeds has to be."""

import math
from functools import lru_cache

_NUM_BISECTIONS = 60


@lru_cache(maxsize=4096)
def student_t_quantile(probability: float, degrees: int) -> float:
    """The t below which the share `probability` lies.

    A ValueError unless ½ ≤ probability < 1 and degrees ≥ 1.
    """
    if not 0.5 <= probability < 1.0:
        raise ValueError(f"probability is {probability}, but must be from 0.5 to below 1")
    if degrees < 1:
        raise ValueError(f"degrees is {degrees}, but must be at least 1")
    low, high = 0.0, 1.0
    while student_t_share(high, degrees) < probability:
        low, high = high, 2.0 * high
    for _ in range(_NUM_BISECTIONS):
        middle = (low + high) / 2.0
        if student_t_share(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return high


def student_t_share(t: float, degrees: int) -> float:
    """The share below t ≥ 0: a finite sum in the angle atan(t / √degrees) (Abramowitz & Stegun 26.7.3)."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine_squared = math.cos(angle) ** 2
    is_odd = degrees % 2 == 1
    term = math.sin(angle) * (math.cos(angle) if is_odd else 1.0)
    total = term if degrees > 1 else 0.0
    first = 3 if is_odd else 2
    for denominator in range(first, degrees - 1, 2):
        term *= (denominator - 1) / denominator * cosine_squared
        total += term
    within = 2.0 / math.pi * (angle + total) if is_odd else total
    return 0.5 + within / 2.0
