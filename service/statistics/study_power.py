"""What a study of so many seeds can tell: the smallest difference that it finds with 80 % power at 5 %.

The test is the sign permutation of paired seeds (`study_permutation`). Of few pairs its level is far below 5 %
(six pairs: 2 of 64), so that the formula of the t-test would promise too much: there the power is simulated, with
fixed draws.
"""

import math
from functools import lru_cache

import numpy as np

from service.statistics.power import POWER, SIGNIFICANCE
from service.statistics.student_t import student_t_quantile
from service.statistics.study_permutation import paired_p_values, smallest_paired_p_value

MIN_PAIRED_SEEDS = 6  # 2 of 2^6 is below 5 %, 2 of 2^5 is not
MAX_SEEDS = 1000

_MAX_SIMULATED_PAIRS = 9
_NUM_SIMULATED = 2000
_NUM_BISECTIONS = 14


def smallest_detectable(sd_of_difference: float, num_pairs: int) -> float | None:
    """The true mean difference that is found with 80 % power; None where no difference can be.

    sd_of_difference: of one seed's difference between the arms.
    """
    if smallest_paired_p_value(num_pairs) > SIGNIFICANCE:
        return None
    return sd_of_difference * _detectable_effect(num_pairs)


def seeds_needed(sd_of_difference: float, difference: float) -> int | None:
    """The least number of shared seeds that finds the difference with 80 % power; None beyond 1,000.

    A ValueError unless the difference is above 0.
    """
    if difference <= 0.0:
        raise ValueError(f"difference is {difference}, but must be above 0")
    if sd_of_difference * _detectable_effect(MAX_SEEDS) > difference:
        return None
    low, high = MIN_PAIRED_SEEDS - 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        if sd_of_difference * _detectable_effect(middle) <= difference:
            high = middle
        else:
            low = middle
    return high


def half_width(sd: float, num_seeds: int) -> float:
    """Of the 95 % interval of a mean over seeds, from the standard deviation of one seed; num_seeds ≥ 2."""
    return student_t_quantile(1.0 - SIGNIFICANCE / 2.0, num_seeds - 1) * sd / math.sqrt(num_seeds)


@lru_cache(maxsize=MAX_SEEDS)
def _detectable_effect(num_pairs: int) -> float:
    """In standard deviations of one difference."""
    if num_pairs <= _MAX_SIMULATED_PAIRS:
        return _simulated_effect(num_pairs)
    # The level that the test attains: so many of its equally likely arrangements.
    num_signs = 2.0 ** min(num_pairs - 1, 50)
    level = math.floor(SIGNIFICANCE * num_signs) / num_signs
    found = student_t_quantile(1.0 - level / 2.0, num_pairs - 1)
    return (found + student_t_quantile(POWER, num_pairs - 1)) / math.sqrt(num_pairs)


def _simulated_effect(num_pairs: int) -> float:
    draws = np.random.default_rng(num_pairs).standard_normal((_NUM_SIMULATED, num_pairs))
    low, high = 0.0, 8.0
    for _ in range(_NUM_BISECTIONS):
        middle = (low + high) / 2.0
        share_found = float(np.mean(paired_p_values(draws + middle) <= SIGNIFICANCE))
        if share_found < POWER:
            low = middle
        else:
            high = middle
    return high
