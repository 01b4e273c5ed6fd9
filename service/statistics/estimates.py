"""pass@k of a benchmark, or of several, with both intervals: other problems and other samples."""

from collections.abc import Sequence

import numpy as np

from service.jobs.results import PassEstimate
from service.statistics.counts import Counts
from service.statistics.intervals import interval_of
from service.statistics.pass_at_k import pass_of_problems
from service.statistics.posterior import sampling_posterior
from service.statistics.problem_bootstrap import bootstrap_draws

__all__ = ["Counts", "mean_pass_estimate", "pass_estimate"]

# The bounds of the intervals then wobble by 3 % of their half width from seed to seed.
NUM_DRAWS = 2_000
_PASS_BOUNDS = (0.0, 1.0)


def pass_estimate(
    counts: Counts, k: int, *, seed: int = 0, num_draws: int = NUM_DRAWS
) -> PassEstimate:
    """The unbiased mean pass@k over a benchmark's problems; equal for equal arguments.

    Both intervals hold the estimate. A ValueError where a problem has fewer than k samples.
    """
    return mean_pass_estimate([counts], k, seed=seed, num_draws=num_draws)


def mean_pass_estimate(
    benchmarks: Sequence[Counts], k: int, *, seed: int = 0, num_draws: int = NUM_DRAWS
) -> PassEstimate:
    """The unweighted mean over benchmarks of their mean pass@k; equal for equal arguments.

    Problems and samples are drawn anew within each benchmark, never across. Both intervals hold the
    estimate. A ValueError where there is no benchmark or a problem has fewer than k samples.
    """
    if not benchmarks:
        raise ValueError("a mean needs at least one benchmark, given none")
    generator = np.random.default_rng(seed)
    values = [pass_of_problems(counts, k) for counts in benchmarks]
    estimate = float(np.mean([of_problems.mean() for of_problems in values]))
    other_problems = [
        bootstrap_draws(
            of_problems, extremes=_PASS_BOUNDS, generator=generator, num_draws=num_draws
        )
        for of_problems in values
    ]
    other_samples = [
        sampling_posterior(counts, k, generator=generator, num_draws=num_draws).draws
        for counts in benchmarks
    ]
    low, high = interval_of(np.mean(other_problems, axis=0), estimate=estimate, bounds=_PASS_BOUNDS)
    sampling_low, sampling_high = interval_of(
        np.mean(other_samples, axis=0), estimate=estimate, bounds=_PASS_BOUNDS
    )
    return PassEstimate(
        estimate=estimate,
        low=low,
        high=high,
        sampling_low=sampling_low,
        sampling_high=sampling_high,
    )
