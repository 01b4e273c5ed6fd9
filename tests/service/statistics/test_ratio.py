import math

import pytest

from service.statistics.ratio import ratio


def test_a_ratio_weighs_its_units_by_their_sizes():
    # 9 / 6; the rests are 1 − 1.5, 2 − 3 and 6 − 4.5, their squares 0.25 + 1 + 2.25, times 3 / 2.
    found = ratio([1.0, 2.0, 6.0], [1, 2, 3])
    assert found.estimate == 1.5
    assert found.standard_error == pytest.approx(math.sqrt(1.5 * 3.5) / 6)


def test_units_of_one_rate_leave_no_doubt_and_a_single_one_says_nothing_of_it():
    assert ratio([1.0, 2.0, 3.0], [2, 4, 6]).standard_error == 0.0
    assert ratio([3.0], [2]).standard_error is None
    with pytest.raises(ValueError, match="at least one unit"):
        ratio([], [])
