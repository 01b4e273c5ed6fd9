import numpy as np
import pytest

from service.statistics.study_permutation import paired_p_values
from service.statistics.study_power import half_width, seeds_needed, smallest_detectable


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
