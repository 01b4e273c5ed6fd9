"""Estimates with their 95 % intervals: what other problems of the same kind might have given.

Percentile bootstrap over problems. It says nothing about another training seed, whose variance is
larger than that of the samples.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.jobs.results import Estimate

PERCENTILES = (2.5, 97.5)

# Above this many problems for one distinct value, drawing counts is cheaper than drawing problems.
_PROBLEMS_PER_DISTINCT_VALUE = 20
_MAX_DRAWS_AT_ONCE = 1_000_000


def bootstrap_mean(
    values: Sequence[float], *, seed: int = 0, num_resamples: int = 10_000
) -> Estimate:
    """The mean of one value per problem with its interval; equal for equal arguments.

    One problem gives an interval of width zero: it says nothing about others.
    """
    if not values:
        raise ValueError("an interval needs at least one value, given none")
    observed = np.asarray(values, dtype=np.float64)
    means = _resampled_means(
        observed, generator=np.random.default_rng(seed), num_resamples=num_resamples
    )
    low, high = np.percentile(means, PERCENTILES)
    return Estimate(estimate=float(observed.mean()), low=float(low), high=float(high))


def paired_difference(
    before: Sequence[float],
    after: Sequence[float],
    *,
    seed: int = 0,
    num_resamples: int = 10_000,
) -> Estimate:
    """The mean of after − before, both in the same order of problems, with its interval.

    A resample takes both values of a problem together, so what makes a problem easy or hard cancels.
    """
    if len(before) != len(after):
        raise ValueError(
            f"a paired difference needs the same problems, given {len(before)} and {len(after)}"
        )
    differences = [value - other for value, other in zip(after, before, strict=True)]
    return bootstrap_mean(differences, seed=seed, num_resamples=num_resamples)


def _resampled_means(
    observed: NDArray[np.float64], *, generator: np.random.Generator, num_resamples: int
) -> NDArray[np.float64]:
    """Means of `num_resamples` draws of all problems with replacement."""
    num_problems = len(observed)
    distinct, counts = np.unique(observed, return_counts=True)
    if len(distinct) * _PROBLEMS_PER_DISTINCT_VALUE <= num_problems:
        # The same distribution: how often each value is drawn is multinomial.
        draws = generator.multinomial(num_problems, counts / num_problems, size=num_resamples)
        return np.asarray(draws @ distinct / num_problems)
    means = np.empty(num_resamples)
    rows_at_once = max(1, _MAX_DRAWS_AT_ONCE // num_problems)
    for start in range(0, num_resamples, rows_at_once):
        rows = means[start : start + rows_at_once]
        drawn = generator.integers(num_problems, size=(len(rows), num_problems))
        rows[:] = observed[drawn].mean(axis=1)
    return means
