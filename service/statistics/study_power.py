"""What a study of so many seeds can tell: the smallest difference that it finds with 80 % power at 5 %.

The test is the sign permutation of paired seeds (`study_permutation`). Where few of its arrangements are within the
level (six pairs at 5 %: 2 of 64), the formula of the t-test would promise too much: there the power is simulated, with
fixed draws.

level: what the p-value has to get down to. One of m comparisons that are adjusted after Holm needs 5 % / m at the first
step, which is Bonferroni's; the later steps ask for less, so figures at that level promise too little rather than too
much.
"""

import math
from functools import lru_cache

import numpy as np

from service.statistics.power import POWER, SIGNIFICANCE
from service.statistics.student_t import student_t_quantile
from service.statistics.study_permutation import MAX_EXACT_PAIRS, smallest_paired_p_value

MAX_SEEDS = 1000

# From so many arrangements within the level on, the formula is within a few per cent of the simulation.
_MIN_FORMULA_ARRANGEMENTS = 25
_NUM_SIMULATED = 2000
# 2^22 means of 8 bytes: 32 MiB at a time.
_MAX_MEANS_AT_ONCE = 2**22


def min_paired_seeds(level: float = SIGNIFICANCE) -> int:
    """The least number of shared seeds that can find anything: 2 of 2^6 is below 5 %, 2 of 2^5 is not."""
    return 1 + math.ceil(-math.log2(level))


def smallest_detectable(
    sd_of_difference: float, num_pairs: int, *, level: float = SIGNIFICANCE
) -> float | None:
    """The true mean difference that is found with 80 % power; None where no difference can be.

    sd_of_difference: of one seed's difference between the arms.
    """
    if smallest_paired_p_value(num_pairs) > level:
        return None
    return sd_of_difference * _detectable_effect(num_pairs, level)


def seeds_needed(
    sd_of_difference: float, difference: float, *, level: float = SIGNIFICANCE
) -> int | None:
    """The least number of shared seeds that finds the difference with 80 % power; None beyond 1,000.

    A ValueError unless the difference is above 0.
    """
    if difference <= 0.0:
        raise ValueError(f"difference is {difference}, but must be above 0")
    if sd_of_difference * _detectable_effect(MAX_SEEDS, level) > difference:
        return None
    low, high = min_paired_seeds(level) - 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        if sd_of_difference * _detectable_effect(middle, level) <= difference:
            high = middle
        else:
            low = middle
    return high


def half_width(sd: float, num_seeds: int) -> float:
    """Of the 95 % interval of a mean over seeds, from the standard deviation of one seed; num_seeds ≥ 2."""
    return student_t_quantile(1.0 - SIGNIFICANCE / 2.0, num_seeds - 1) * sd / math.sqrt(num_seeds)


@lru_cache(maxsize=MAX_SEEDS)
def _detectable_effect(num_pairs: int, level: float) -> float:
    """In standard deviations of one difference."""
    num_signs = 2.0 ** min(num_pairs - 1, 50)
    num_within = math.floor(level * num_signs)
    if num_within < _MIN_FORMULA_ARRANGEMENTS and num_pairs <= MAX_EXACT_PAIRS:
        return _simulated_effect(num_pairs, num_within)
    # The level that the test attains: so many of its equally likely arrangements.
    found = student_t_quantile(1.0 - num_within / num_signs / 2.0, num_pairs - 1)
    return (found + student_t_quantile(POWER, num_pairs - 1)) / math.sqrt(num_pairs)


def _simulated_effect(num_pairs: int, num_within: int) -> float:
    """The effect that gets at most `num_within` arrangements, the observed one included, as far as the observed.

    Turning the signs of a set of pairs takes a sum as far as it was where the set's mean is not above zero. Of drawn
    differences without an effect that is so for the effects up to minus that mean, so a study is found from the
    `num_within`-th largest of these on.
    """
    draws = np.random.default_rng(num_pairs).standard_normal((_NUM_SIMULATED, num_pairs))
    sets = (np.arange(1, 2**num_pairs)[:, None] >> np.arange(num_pairs)) & 1
    weights = (sets / sets.sum(axis=1, keepdims=True)).T
    num_parts = math.ceil(_NUM_SIMULATED * len(sets) / _MAX_MEANS_AT_ONCE)
    found_from = [
        np.partition(part @ weights, num_within - 1, axis=1)[:, num_within - 1]
        for part in np.array_split(draws, num_parts)
    ]
    return float(np.quantile(-np.concatenate(found_from), POWER, method="inverted_cdf"))
