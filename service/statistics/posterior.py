"""These problems, other samples: draws of the true mean pass@k of a benchmark.

Empirical Bayes: p_i ~ Beta(a + c_i, b + n_i − c_i) with (a, b) drawn from what the benchmark allows,
q_i = 1 − (1 − p_i)^k. Two things are then corrected, because no Beta fits every benchmark and the
misfit does not shrink with the number of problems (problems of p = 0 and p = ½ only: coverage 0 %):

- the draws are moved so that their mean is the unbiased estimate,
- and stretched, where they are narrower, to the standard error of that estimate.

What remains of the posterior is its shape, which is skew near 0 and 1, and its width where few samples
say little. Resampling the n outcomes with replacement instead would cover 20 % at n = k = 8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts
from service.statistics.pass_at_k import pass_of_problems
from service.statistics.priors import BetaPriors, fit_priors
from service.statistics.sampling_variance import sampling_variance


@dataclass(frozen=True, slots=True, eq=False)
class SamplingPosterior:
    """Of the mean pass@k over the problems of one benchmark.

    draws: may leave 0…1 by a little; their mean is the unbiased estimate.
    variance: of the unbiased estimate over other samples of these problems.
    """

    draws: NDArray[np.float64]
    variance: float


def sampling_posterior(
    counts: Counts, k: int, *, generator: np.random.Generator, num_draws: int
) -> SamplingPosterior:
    """A ValueError where a problem has fewer than k samples."""
    estimate = float(pass_of_problems(counts, k).mean())
    priors = fit_priors(counts)
    variance = sampling_variance(counts, k, priors=priors)
    drawn = _draw_means(
        counts, k, pairs=priors.draw(num_draws, generator=generator), generator=generator
    )
    spread = float(drawn.std())
    stretch = max(1.0, variance**0.5 / spread) if spread > 0.0 else 1.0
    return SamplingPosterior(estimate + stretch * (drawn - drawn.mean()), variance)


def _draw_means(
    counts: Counts, k: int, *, pairs: BetaPriors, generator: np.random.Generator
) -> NDArray[np.float64]:
    """One mean of q over the problems for every pair (a, b)."""
    n, c = np.array(counts.n), np.array(counts.c)
    p = generator.beta(pairs.a[:, None] + c, pairs.b[:, None] + (n - c))
    return np.asarray(1.0 - ((1.0 - p) ** k).mean(axis=1))
