"""The smallest difference that a standard error allows to be told from none."""

from statistics import NormalDist

POWER = 0.8
SIGNIFICANCE = 0.05


def smallest_resolvable(standard_error: float, *, power: float = POWER) -> float:
    """2.80 × the standard error of the difference at 80 % power, two-sided 5 %.

    A true difference of this size is found with the given power. A ValueError unless ½ ≤ power < 1.
    """
    if not 0.5 <= power < 1.0:
        raise ValueError(f"power is {power}, but must be from 0.5 to below 1")
    normal = NormalDist()
    return standard_error * (normal.inv_cdf(1.0 - SIGNIFICANCE / 2.0) + normal.inv_cdf(power))
