"""Where the variance of a score comes from: the training seed, the samples, the problems.

A run's mean pass@k varies between seeds because training went otherwise and because other samples were drawn.
The second part is known from the samples themselves (`sampling_variance`); what remains is the seed's. The
problems are the same in every run, so they do not show between seeds: their part says how far another set of
problems of the kind would move all runs together. An estimate that comes out negative is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts
from service.statistics.pass_at_k import pass_of_problems
from service.statistics.priors import fit_priors
from service.statistics.sampling_variance import sampling_variance

# One run: its benchmarks, in the same order in every run.
RunCounts = Sequence[Counts]


@dataclass(frozen=True, slots=True)
class Components:
    """Standard deviations of one run's mean over benchmarks, or of one seed's difference between two arms."""

    seed_sd: float
    sampling_sd: float
    problem_sd: float


def run_components(runs: Sequence[RunCounts], k: int) -> Components | None:
    """Of the mean pass@k of one run of an arm, from its runs with different seeds; None of fewer than two."""
    scores = [[pass_of_problems(counts, k) for counts in run] for run in runs]
    sampling = [[_sampling_variance(counts, k) for counts in run] for run in runs]
    return _components(scores, sampling)


def difference_components(
    first: Sequence[RunCounts], second: Sequence[RunCounts], k: int
) -> Components | None:
    """Of the second minus the first, run by run of the same seed; None of fewer than two seeds.

    A ValueError where the two do not have the same number of runs.
    """
    scores = [
        [
            pass_of_problems(of_second, k) - pass_of_problems(of_first, k)
            for of_first, of_second in zip(run_of_first, run_of_second, strict=True)
        ]
        for run_of_first, run_of_second in zip(first, second, strict=True)
    ]
    sampling = [
        [
            _sampling_variance(of_first, k) + _sampling_variance(of_second, k)
            for of_first, of_second in zip(run_of_first, run_of_second, strict=True)
        ]
        for run_of_first, run_of_second in zip(first, second, strict=True)
    ]
    return _components(scores, sampling)


def mean_score(run: RunCounts, k: int) -> float:
    """pass@k of one run, unweighted over benchmarks."""
    return float(np.mean([pass_of_problems(counts, k).mean() for counts in run]))


def _components(
    scores: Sequence[Sequence[NDArray[np.float64]]], sampling: Sequence[Sequence[float]]
) -> Components | None:
    """scores: of every problem, by run and benchmark. sampling: variance of each of their means."""
    num_runs = len(scores)
    if num_runs < 2:
        return None
    num_benchmarks = len(scores[0])
    means = [float(np.mean([values.mean() for values in run])) for run in scores]
    by_benchmark = np.mean(np.array(sampling), axis=0)
    sampled = float(by_benchmark.sum()) / num_benchmarks**2
    between_seeds = float(np.var(means, ddof=1))
    between_problems = sum(
        _problem_variance(
            np.mean([run[place] for run in scores], axis=0),
            noise=float(by_benchmark[place]) / num_runs,
        )
        for place in range(num_benchmarks)
    )
    return Components(
        seed_sd=max(between_seeds - sampled, 0.0) ** 0.5,
        sampling_sd=sampled**0.5,
        problem_sd=between_problems**0.5 / num_benchmarks,
    )


def _problem_variance(values: NDArray[np.float64], *, noise: float) -> float:
    """Of the mean over the problems, were others of the kind asked; without what the samples add to it."""
    if len(values) < 2:
        return 0.0
    return max(float(np.var(values, ddof=1)) / len(values) - noise, 0.0)


# A verdict asks for each run's once for its arm and once for each difference that the arm is in.
@lru_cache(maxsize=4096)
def _sampling_variance(counts: Counts, k: int) -> float:
    return sampling_variance(counts, k, priors=fit_priors(counts))
