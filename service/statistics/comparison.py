"""Two runs on the same problems: how far pass@k differs, and how far chance alone would reach.

One run against one run: training-seed variance, which is larger than the sampling variance, is in no
number here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.jobs.results import PassEstimate
from service.statistics.counts import Counts
from service.statistics.estimates import NUM_DRAWS
from service.statistics.intervals import interval_of
from service.statistics.pass_at_k import pass_of_problems
from service.statistics.permutation import permutation_p_value, permuted_differences
from service.statistics.posterior import sampling_posterior
from service.statistics.power import smallest_resolvable
from service.statistics.problem_bootstrap import bootstrap_draws

NUM_PERMUTATIONS = 10_000
_DIFFERENCE_BOUNDS = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class PairComparison:
    """The second run minus the first, on one benchmark or as the unweighted mean of several.

    difference: of mean pass@k, with the problems and the sampling interval.
    p_value: two-sided, by the within-problem permutation of right samples; not adjusted.
    num_wins, num_losses, num_ties: problems that the second run solves more often, less often, equally
        often, by c / n. Not by pass@k, which at n = k knows only whether c is 0.
    smallest_resolvable_difference: that 80 % of such samples of these problems would tell from none.
    """

    k: int
    difference: PassEstimate
    p_value: float
    num_wins: int
    num_losses: int
    num_ties: int
    smallest_resolvable_difference: float


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Every benchmark in the order given, and their unweighted mean."""

    benchmarks: tuple[PairComparison, ...]
    mean: PairComparison


@dataclass(frozen=True, slots=True, eq=False)
class _Evidence:
    """What one benchmark says; draws of two evidences are independent and may be averaged."""

    difference: float
    other_problems: NDArray[np.float64]
    other_samples: NDArray[np.float64]
    permuted: NDArray[np.float64]
    variance: float
    num_wins: int
    num_losses: int
    num_ties: int


def compare_runs(
    first: Sequence[Counts],
    second: Sequence[Counts],
    k: int,
    *,
    seed: int = 0,
    num_draws: int = NUM_DRAWS,
    num_permutations: int = NUM_PERMUTATIONS,
) -> RunComparison:
    """Compares two runs on the same benchmarks in the same order; equal for equal arguments.

    The samples per problem may differ between runs, problems and benchmarks. A ValueError where the
    benchmarks or their problems do not correspond, or where a problem has fewer than k samples.
    """
    _refuse_other_problems(first, second)
    generator = np.random.default_rng(seed)
    evidences = [
        _evidence(
            *pair, k, generator=generator, num_draws=num_draws, num_permutations=num_permutations
        )
        for pair in zip(first, second, strict=True)
    ]
    return RunComparison(
        benchmarks=tuple(_conclusion([evidence], k) for evidence in evidences),
        mean=_conclusion(evidences, k),
    )


def paired_estimate(first: Counts, second: Counts, k: int) -> PassEstimate:
    """The second run minus the first on one benchmark, with both intervals; no test of it."""
    return compare_runs([first], [second], k, num_permutations=1).mean.difference


def _refuse_other_problems(first: Sequence[Counts], second: Sequence[Counts]) -> None:
    num_first = [counts.num_problems for counts in first]
    num_second = [counts.num_problems for counts in second]
    if not num_first or num_first != num_second:
        raise ValueError(
            f"a comparison needs the same problems of at least one benchmark, "
            f"given {num_first} and {num_second} problems"
        )


def _evidence(
    first: Counts,
    second: Counts,
    k: int,
    *,
    generator: np.random.Generator,
    num_draws: int,
    num_permutations: int,
) -> _Evidence:
    differences = pass_of_problems(second, k) - pass_of_problems(first, k)
    largest = _largest_difference(differences, k, least_samples=min(*first.n, *second.n))
    of_first, of_second = (
        sampling_posterior(counts, k, generator=generator, num_draws=num_draws)
        for counts in (first, second)
    )
    advantages = np.array(second.c) * np.array(first.n) - np.array(first.c) * np.array(second.n)
    return _Evidence(
        difference=float(differences.mean()),
        other_problems=bootstrap_draws(
            differences, extremes=(-largest, largest), generator=generator, num_draws=num_draws
        ),
        other_samples=of_second.draws - of_first.draws,
        permuted=permuted_differences(
            first, second, k, generator=generator, num_permutations=num_permutations
        ),
        variance=of_first.variance + of_second.variance,
        num_wins=int(np.count_nonzero(advantages > 0)),
        num_losses=int(np.count_nonzero(advantages < 0)),
        num_ties=int(np.count_nonzero(advantages == 0)),
    )


def _largest_difference(differences: NDArray[np.float64], k: int, *, least_samples: int) -> float:
    """What an unseen problem may differ by: the most seen, and at least what one sample can turn.

    ±1 instead would double the intervals of pass@1, where problems rarely differ by more than half.
    """
    return max(float(np.abs(differences).max()), k / least_samples)


def _conclusion(evidences: Sequence[_Evidence], k: int) -> PairComparison:
    difference = float(np.mean([evidence.difference for evidence in evidences]))
    low, high = interval_of(
        np.mean([evidence.other_problems for evidence in evidences], axis=0),
        estimate=difference,
        bounds=_DIFFERENCE_BOUNDS,
    )
    sampling_low, sampling_high = interval_of(
        np.mean([evidence.other_samples for evidence in evidences], axis=0),
        estimate=difference,
        bounds=_DIFFERENCE_BOUNDS,
    )
    variance = sum(evidence.variance for evidence in evidences) / len(evidences) ** 2
    return PairComparison(
        k=k,
        difference=PassEstimate(
            estimate=difference,
            low=low,
            high=high,
            sampling_low=sampling_low,
            sampling_high=sampling_high,
        ),
        p_value=permutation_p_value(
            difference, np.mean([evidence.permuted for evidence in evidences], axis=0)
        ),
        num_wins=sum(evidence.num_wins for evidence in evidences),
        num_losses=sum(evidence.num_losses for evidence in evidences),
        num_ties=sum(evidence.num_ties for evidence in evidences),
        smallest_resolvable_difference=smallest_resolvable(variance**0.5),
    )
