import numpy as np
import pytest

from service.statistics.intervals import interval_of

EVENLY = np.linspace(0.0, 1.0, 1001)


def test_the_interval_of_draws_is_their_middle_95_percent():
    low, high = interval_of(EVENLY, estimate=0.5, bounds=(0.0, 1.0))
    assert (low, high) == pytest.approx((0.025, 0.975))


def test_of_several_rows_of_draws_the_widest_decides_at_either_end():
    rows = np.stack([EVENLY / 2, EVENLY / 2 + 0.3])
    low, high = interval_of(rows, estimate=0.5, bounds=(0.0, 1.0))
    assert (low, high) == pytest.approx((0.0125, 0.7875))


def test_it_is_widened_to_the_estimate_and_cut_at_the_bounds():
    assert interval_of(EVENLY, estimate=0.99, bounds=(0.0, 1.0)) == pytest.approx((0.025, 0.99))
    assert interval_of(EVENLY * 2 - 1, estimate=0.0, bounds=(0.0, 1.0))[0] == 0.0
