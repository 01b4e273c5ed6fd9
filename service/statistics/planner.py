"""How many samples a problem needs on each benchmark to tell two runs apart, at least cost in tokens.

From a pilot: how hard its problems are says how much pass@k of other samples would vary. Both runs of
the later comparison are thought to be like the pilot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts
from service.statistics.power import POWER, smallest_resolvable
from service.statistics.priors import fit_priors
from service.statistics.sampling_variance import covariances_by_overlap, overlap_chances

MAX_SAMPLES_PER_PROBLEM = 4096
_STEPS_PER_DOUBLING = 8


@dataclass(frozen=True, slots=True)
class Pilot:
    """Samples of one benchmark, few or many; tokens_per_sample: mean response tokens, above 0."""

    benchmark: str
    counts: Counts
    tokens_per_sample: float

    def __post_init__(self) -> None:
        if not self.tokens_per_sample > 0.0:
            raise ValueError(
                f"a sample of {self.benchmark} costs {self.tokens_per_sample} tokens, "
                "but must cost more than 0"
            )


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """cost_tokens: response tokens of one run, all problems; variance_share: of the mean's variance."""

    benchmark: str
    samples_per_problem: int
    cost_tokens: float
    variance_share: float


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """What one run samples on each benchmark, in the pilot's order.

    cost_tokens: of one run; a comparison costs twice that.
    smallest_resolvable_difference: of the unweighted mean pass@k between two such runs.
    reaches_target: false where even the most samples allowed do not, and then the plan is those.
    """

    benchmarks: tuple[BenchmarkPlan, ...]
    cost_tokens: float
    smallest_resolvable_difference: float
    reaches_target: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The samples per problem that one benchmark may get, ascending, and what each is worth.

    variances: each benchmark's part in the variance of the mean of one run.
    """

    samples: NDArray[np.int64]
    variances: NDArray[np.float64]
    costs_tokens: NDArray[np.float64]

    def saved_per_token(self, level: int) -> float:
        """Variance that one level more takes away for a token; nothing at the last level."""
        if level + 1 == len(self.samples):
            return -1.0
        variance = self.variances[level] - self.variances[level + 1]
        return float(variance / (self.costs_tokens[level + 1] - self.costs_tokens[level]))


def plan_samples(
    pilots: Sequence[Pilot], k: int, *, target_difference: float, power: float = POWER
) -> SamplePlan:
    """The cheapest samples per problem, k to 4096, that resolve a difference of the mean pass@k.

    Two-sided 5 %. Samples come in steps of an eighth of a doubling; the cost is within a step of the
    least. A ValueError for no pilot, a target of 0 or less, or a k that no plan can hold.
    """
    _refuse(pilots, k)
    if not target_difference > 0.0:
        raise ValueError(f"target_difference is {target_difference}, but must be above 0")
    choices = [
        _choice(pilot, k, samples=_sensible_samples(k), num_benchmarks=len(pilots))
        for pilot in pilots
    ]
    levels = _climb(choices, target_difference, power=power)
    return _plan(pilots, choices, levels, target_difference=target_difference, power=power)


def resolvable_difference(
    pilots: Sequence[Pilot], k: int, *, samples_per_problem: Sequence[int], power: float = POWER
) -> SamplePlan:
    """What these samples per problem, one number for each pilot, cost and resolve; no target to miss.

    A ValueError for another number of pilots or samples below k or above 4096.
    """
    _refuse(pilots, k)
    if len(samples_per_problem) != len(pilots):
        raise ValueError(
            f"samples_per_problem needs one number for each of {len(pilots)} pilots, "
            f"given {len(samples_per_problem)}"
        )
    for num_samples in samples_per_problem:
        if not k <= num_samples <= MAX_SAMPLES_PER_PROBLEM:
            raise ValueError(
                f"{num_samples} samples per problem, but pass@{k} needs "
                f"{k} to {MAX_SAMPLES_PER_PROBLEM}"
            )
    choices = [
        _choice(pilot, k, samples=np.array([num_samples]), num_benchmarks=len(pilots))
        for pilot, num_samples in zip(pilots, samples_per_problem, strict=True)
    ]
    return _plan(pilots, choices, [0] * len(pilots), target_difference=np.inf, power=power)


def _refuse(pilots: Sequence[Pilot], k: int) -> None:
    if not pilots:
        raise ValueError("a plan needs the pilot of at least one benchmark, given none")
    if not 1 <= k <= MAX_SAMPLES_PER_PROBLEM:
        raise ValueError(f"k is {k}, but must be from 1 to {MAX_SAMPLES_PER_PROBLEM}")


def _sensible_samples(k: int) -> NDArray[np.int64]:
    """k and, above it, every number up to 16, every second up to 32, every fourth up to 64, …"""
    samples = {k, MAX_SAMPLES_PER_PROBLEM}
    step = 1
    while step * _STEPS_PER_DOUBLING < MAX_SAMPLES_PER_PROBLEM:
        samples.update(step * count for count in range(1, 2 * _STEPS_PER_DOUBLING + 1))
        step *= 2
    return np.array(sorted(n for n in samples if n >= k))


def _choice(pilot: Pilot, k: int, *, samples: NDArray[np.int64], num_benchmarks: int) -> _Choice:
    covariances = covariances_by_overlap(pilot.counts, k, priors=fit_priors(pilot.counts))
    variances = np.array([overlap_chances(int(n), k) @ covariances for n in samples])
    return _Choice(
        samples=samples,
        variances=variances / num_benchmarks**2,
        costs_tokens=samples.astype(np.float64)
        * (pilot.counts.num_problems * pilot.tokens_per_sample),
    )


def _climb(choices: Sequence[_Choice], target_difference: float, *, power: float) -> list[int]:
    """Levels that reach the target, or the last ones; each step buys the most variance for a token.

    The variance falls ever more slowly with n, so the greedy way is the cheapest up to its last step.
    Steps that this one made needless are then taken back, the dearest first.
    """
    levels = [0] * len(choices)
    while _resolved(choices, levels, power=power) > target_difference:
        saved = [
            choice.saved_per_token(level) for choice, level in zip(choices, levels, strict=True)
        ]
        if max(saved) < 0.0:
            return levels
        levels[saved.index(max(saved))] += 1
    while needless := [
        lowered
        for lowered in _lowered(levels)
        if _resolved(choices, lowered, power=power) <= target_difference
    ]:
        levels = min(needless, key=lambda lowered: _cost_tokens(choices, lowered))
    return levels


def _lowered(levels: Sequence[int]) -> list[list[int]]:
    """The levels with one of them a step lower."""
    return [
        [level - (position == lowered) for position, level in enumerate(levels)]
        for lowered in range(len(levels))
        if levels[lowered] > 0
    ]


def _resolved(choices: Sequence[_Choice], levels: Sequence[int], *, power: float) -> float:
    """The smallest difference that two runs with these samples resolve."""
    variance = sum(choice.variances[level] for choice, level in zip(choices, levels, strict=True))
    return smallest_resolvable(float(2.0 * variance) ** 0.5, power=power)


def _cost_tokens(choices: Sequence[_Choice], levels: Sequence[int]) -> float:
    return float(
        sum(choice.costs_tokens[level] for choice, level in zip(choices, levels, strict=True))
    )


def _plan(
    pilots: Sequence[Pilot],
    choices: Sequence[_Choice],
    levels: Sequence[int],
    *,
    target_difference: float,
    power: float,
) -> SamplePlan:
    chosen = list(zip(pilots, choices, levels, strict=True))
    variance = sum(choice.variances[level] for _, choice, level in chosen)
    resolved = _resolved(choices, levels, power=power)
    return SamplePlan(
        benchmarks=tuple(
            BenchmarkPlan(
                benchmark=pilot.benchmark,
                samples_per_problem=int(choice.samples[level]),
                cost_tokens=float(choice.costs_tokens[level]),
                # Where all samples agree and k is in the hundreds, the variances underflow.
                variance_share=float(choice.variances[level] / variance) if variance else 0.0,
            )
            for pilot, choice, level in chosen
        ),
        cost_tokens=_cost_tokens(choices, levels),
        smallest_resolvable_difference=resolved,
        reaches_target=resolved <= target_difference,
    )
