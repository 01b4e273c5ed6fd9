"""An arm over its seeds, and the difference of two arms: intervals and p-values whose unit is a training seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.statistics.study_permutation import (
    paired_p_value,
    smallest_paired_p_value,
    smallest_unpaired_p_value,
    unpaired_p_value,
)
from service.statistics.study_power import half_width


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """Values of the runs of one arm. low, high: 95 % t-interval of their mean over other seeds, None of one seed."""

    num_seeds: int
    mean: float
    low: float | None
    high: float | None
    sd: float | None
    least: float
    greatest: float


@dataclass(frozen=True, slots=True)
class SeedDifference:
    """One arm minus another.

    low, high: 95 % t-interval over other seeds. p_value: permutation, two-sided. smallest_p_value: what no
    outcome of so many seeds gets below.
    """

    num_pairs: int
    estimate: float
    low: float | None
    high: float | None
    sd: float | None
    p_value: float
    smallest_p_value: float


def seed_spread(values: NDArray[np.float64], *, least_sd: float = 0.0) -> SeedSpread:
    """A ValueError where there is no run.

    least_sd: what the samples alone make of one run. Runs that happen to agree more than their samples allow get no
    narrower interval for it.
    """
    if not values.size:
        raise ValueError("an arm needs at least one run, given none")
    mean, sd, (low, high) = _mean_with_interval(values, least_sd=least_sd)
    return SeedSpread(
        num_seeds=len(values),
        mean=mean,
        low=low,
        high=high,
        sd=sd,
        least=float(values.min()),
        greatest=float(values.max()),
    )


def paired_difference(
    first: NDArray[np.float64], second: NDArray[np.float64], *, least_sd: float = 0.0
) -> SeedDifference:
    """The second arm minus the first, by seed: both in the order of the same seeds, at least one.

    least_sd: as of `seed_spread`, of one seed's difference.
    """
    differences = second - first
    mean, sd, (low, high) = _mean_with_interval(differences, least_sd=least_sd)
    return SeedDifference(
        num_pairs=len(differences),
        estimate=mean,
        low=low,
        high=high,
        sd=sd,
        p_value=paired_p_value(differences),
        smallest_p_value=smallest_paired_p_value(len(differences)),
    )


def unpaired_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> SeedDifference:
    """As `paired_difference` for arms without shared seeds; the interval pools their variances."""
    num_first, num_second = len(first), len(second)
    degrees = num_first + num_second - 2
    estimate = float(second.mean() - first.mean())
    if degrees < 1:
        low = high = sd = None
    else:
        squares = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
        sd = float(squares / degrees) ** 0.5
        # As wide as the interval of `degrees + 1` seeds, scaled to the two counts.
        width = (
            half_width(sd, degrees + 1)
            * ((degrees + 1) * (1.0 / num_first + 1.0 / num_second)) ** 0.5
        )
        low, high = estimate - width, estimate + width
    return SeedDifference(
        num_pairs=0,
        estimate=estimate,
        low=low,
        high=high,
        sd=sd,
        p_value=unpaired_p_value(first, second),
        smallest_p_value=smallest_unpaired_p_value(num_first, num_second),
    )


def _mean_with_interval(
    values: NDArray[np.float64], *, least_sd: float
) -> tuple[float, float | None, tuple[float | None, float | None]]:
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, (None, None)
    sd = float(np.std(values, ddof=1))
    width = half_width(max(sd, least_sd), len(values))
    return mean, sd, (mean - width, mean + width)
