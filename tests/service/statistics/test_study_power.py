import numpy as np
import pytest

from service.statistics.study_permutation import paired_p_values
from service.statistics.study_power import (
    half_width,
    min_paired_seeds,
    seeds_needed,
    smallest_detectable,
)


def test_fewer_than_six_shared_seeds_can_find_nothing():
    assert smallest_detectable(0.01, 5) is None
    assert smallest_detectable(0.01, 6) is not None


def test_six_seeds_find_what_has_one_sign_in_all_of_them():
    # Found only where all six differences have the sign: Φ(x)^6 = 0.8 at x = 1.79 standard deviations.
    assert smallest_detectable(1.0, 6) == pytest.approx(1.79, abs=0.06)


@pytest.mark.parametrize("num_pairs", [8, 10, 12])
def test_a_detectable_difference_is_found_four_times_in_five(num_pairs):
    effect = smallest_detectable(1.0, num_pairs)
    draws = np.random.default_rng(77).standard_normal((2000, num_pairs))
    share_found = np.mean(paired_p_values(draws + effect) <= 0.05)
    assert share_found == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(("num_pairs", "num_comparisons"), [(8, 3), (10, 3), (12, 3), (12, 31)])
def test_one_of_many_comparisons_is_found_at_its_level_four_times_in_five(
    num_pairs, num_comparisons
):
    level = 0.05 / num_comparisons
    effect = smallest_detectable(1.0, num_pairs, level=level)
    draws = np.random.default_rng(77).standard_normal((2000, num_pairs))
    share_found = np.mean(paired_p_values(draws + effect) <= level)
    assert share_found == pytest.approx(0.8, abs=0.04)


def test_the_seeds_that_can_find_anything_are_more_the_lower_the_level():
    # 2 / 2^6 = .031; 2 / 2^7 = .0156 is within .05 / 3 = .0167; 2 / 2^8 = .0078 is within .05 / 6 = .0083.
    assert min_paired_seeds() == 6
    assert min_paired_seeds(0.05 / 3) == 7
    assert min_paired_seeds(0.05 / 6) == 8
    assert smallest_detectable(1.0, 6, level=0.05 / 3) is None


def test_a_lower_level_takes_a_larger_difference_or_more_seeds():
    # Of seven pairs only one sign in all is within .05 / 3: Φ(x)^7 = .8 at x = 1.86. Within .05 are three of 64.
    assert smallest_detectable(1.0, 7, level=0.05 / 3) == pytest.approx(1.86, abs=0.06)
    assert smallest_detectable(1.0, 7) < 1.4
    assert seeds_needed(0.04, 10.0, level=0.05 / 3) == 7
    assert seeds_needed(0.04, 0.03, level=0.05 / 3) > seeds_needed(0.04, 0.03)


def test_the_seeds_needed_find_the_difference_and_one_fewer_does_not():
    needed = seeds_needed(0.04, 0.03)
    assert smallest_detectable(0.04, needed) <= 0.03 < smallest_detectable(0.04, needed - 1)
    assert seeds_needed(0.04, 10.0) == 6
    assert seeds_needed(1.0, 0.001) is None
    with pytest.raises(ValueError, match="above 0"):
        seeds_needed(1.0, 0.0)


def test_an_interval_of_few_seeds_is_as_wide_as_students():
    # 3 seeds: 4.303 · 0.03 / √3.
    assert half_width(0.03, 3) == pytest.approx(0.07453, abs=1e-4)
