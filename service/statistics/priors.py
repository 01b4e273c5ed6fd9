"""How hard the problems of a benchmark are: the Beta(a, b) that its counts allow, each with its weight.

The weight is the marginal (beta-binomial) likelihood times a weak prior on a and b. The most likely
pair alone is not enough: thirty problems of eight samples leave a and b so open that intervals from
the best pair covered 50 % where 95 % was claimed, and it collapses to a point where all samples agree.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts

# Of the mean a / (a + b) as a logit, and of the concentration a + b as a logarithm. At the ends every
# problem is alike to within a hundredth, or all or nothing.
_LOGIT_MEANS = (-14.0, 14.0)
_LOG_CONCENTRATIONS = (-4.0, 8.0)
_GRID_SIZE = 24
_NUM_ZOOMS = 2
# Relative to the best pair; what is below decides no interval.
_NEGLIGIBLE_WEIGHT = 1e-4
# The prior says: any mean alike, and any shrinkage s / (s + concentration) alike, with s = 8. Smaller
# values believe in all-or-nothing problems: where every p is near .01, intervals at s = 1 covered 80 %.
_CONCENTRATION_SCALE = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class BetaPriors:
    """Pairs (a, b) with weights that sum to 1; arrays of one length."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    weights: NDArray[np.float64]

    def representatives(self, num_pairs: int) -> "BetaPriors":
        """So many pairs of equal weight, taken at even steps of the cumulated weight."""
        steps = (np.arange(num_pairs) + 0.5) / num_pairs
        chosen = np.searchsorted(np.cumsum(self.weights), steps).clip(max=len(self.weights) - 1)
        return BetaPriors(self.a[chosen], self.b[chosen], np.full(num_pairs, 1.0 / num_pairs))

    def draw(self, num_pairs: int, *, generator: np.random.Generator) -> "BetaPriors":
        """So many pairs of equal weight, drawn in proportion to the weights."""
        chosen = generator.choice(len(self.weights), size=num_pairs, p=self.weights)
        return BetaPriors(self.a[chosen], self.b[chosen], np.full(num_pairs, 1.0 / num_pairs))


# Every k asks for the same fit; a comparison asks for each run's again.
@lru_cache(maxsize=256)
def fit_priors(counts: Counts) -> BetaPriors:
    """The pairs on a grid that narrows twice to where the weight is; the same for equal counts."""
    logit_means = np.linspace(*_LOGIT_MEANS, _GRID_SIZE)
    log_concentrations = np.linspace(*_LOG_CONCENTRATIONS, _GRID_SIZE)
    weights = _weights(logit_means, log_concentrations, counts)
    for _ in range(_NUM_ZOOMS):
        logit_means = _zoomed(logit_means, weights.max(axis=1))
        log_concentrations = _zoomed(log_concentrations, weights.max(axis=0))
        weights = _weights(logit_means, log_concentrations, counts)
    a, b = _pairs(logit_means, log_concentrations)
    kept = weights > _NEGLIGIBLE_WEIGHT
    return BetaPriors(a[kept], b[kept], weights[kept] / weights[kept].sum())


def _pairs(
    logit_means: NDArray[np.float64], log_concentrations: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """a and b of every point of the grid, each [means, concentrations]."""
    concentrations = np.exp(log_concentrations)[None, :]
    # Both from the exponential, as 1 − mean would cancel where the mean is close to 1.
    return (
        concentrations / (1.0 + np.exp(-logit_means))[:, None],
        concentrations / (1.0 + np.exp(logit_means))[:, None],
    )


def _weights(
    logit_means: NDArray[np.float64], log_concentrations: NDArray[np.float64], counts: Counts
) -> NDArray[np.float64]:
    """[means, concentrations], 1 at the best pair."""
    a, b = _pairs(logit_means, log_concentrations)
    logs = _log_likelihood(a, b, counts) + _log_prior(a, b)
    return np.asarray(np.exp(logs - logs.max()))


def _log_prior(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Uniform in the mean and in the shrinkage, as a density over logit and logarithm; no constant."""
    total = a + b
    of_mean = np.log(a / total) + np.log(b / total)
    return np.asarray(of_mean + np.log(total) - 2.0 * np.log(total + _CONCENTRATION_SCALE))


def _log_likelihood(
    a: NDArray[np.float64], b: NDArray[np.float64], counts: Counts
) -> NDArray[np.float64]:
    """Σ log B(a + c, b + n − c) − log B(a, b); binomial coefficients, which are constant, left out."""
    outcomes = counts.distinct()
    n, c = np.array(list(outcomes)).T
    times = np.array(list(outcomes.values()))
    rises = _log_rise(a, c, times) + _log_rise(b, n - c, times)
    return rises - _log_rise(a + b, n, times)


def _log_rise(
    start: NDArray[np.float64], steps: NDArray[np.int64], times: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Σ times · log Γ(start + steps) / Γ(start), for every start."""
    distinct, which = np.unique(steps, return_inverse=True)
    total = _log_gamma(start) * -float(times.sum())
    for step, num_problems in zip(distinct, np.bincount(which, weights=times), strict=True):
        total += num_problems * _log_gamma(start + step)
    return total


def _log_gamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = np.fromiter(map(math.lgamma, values.ravel()), dtype=np.float64, count=values.size)
    return flat.reshape(values.shape)


def _zoomed(axis: NDArray[np.float64], best: NDArray[np.float64]) -> NDArray[np.float64]:
    """As many points over the part of the axis whose best weight counts, one step wider."""
    (counting,) = np.nonzero(best > _NEGLIGIBLE_WEIGHT)
    first, last = max(counting[0] - 1, 0), min(counting[-1] + 1, len(axis) - 1)
    return np.linspace(axis[first], axis[last], len(axis))
