import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.intervals import bootstrap_mean, paired_difference

# 400 problems, half of them right: standard error .5 / √400 = .025.
HALF_RIGHT = [0.0, 1.0] * 200
EVERY_VALUE_ONCE = [i / 399 for i in range(400)]


@pytest.mark.parametrize("values", [HALF_RIGHT, EVERY_VALUE_ONCE], ids=["counts", "problems"])
def test_the_interval_is_the_normal_one_where_problems_are_many(values):
    interval = bootstrap_mean(values)
    standard_error = np.std(values) / math.sqrt(len(values))
    assert interval.estimate == pytest.approx(0.5)
    assert interval.low == pytest.approx(0.5 - 1.96 * standard_error, abs=0.1 * standard_error)
    assert interval.high == pytest.approx(0.5 + 1.96 * standard_error, abs=0.1 * standard_error)


def test_both_ways_of_drawing_give_the_same_interval():
    # Tiny offsets make every value distinct, so that problems are drawn instead of counts.
    nearly = [value + 1e-9 * i for i, value in enumerate(HALF_RIGHT)]
    by_counts, by_problems = bootstrap_mean(HALF_RIGHT), bootstrap_mean(nearly)
    assert by_counts.low == pytest.approx(by_problems.low, abs=0.003)
    assert by_counts.high == pytest.approx(by_problems.high, abs=0.003)


def test_95_percent_of_intervals_cover_the_truth():
    stream = np.random.default_rng(7)
    truth, num_trials = 0.3, 400
    covered = 0
    for _ in range(num_trials):
        interval = bootstrap_mean(list(stream.binomial(8, truth, 100) / 8), num_resamples=500)
        covered += interval.low <= truth <= interval.high
    # Standard error of the coverage: √(.95 · .05 / 400) = .011.
    assert 0.91 <= covered / num_trials <= 0.985


def test_the_seed_alone_decides_the_resamples():
    values = EVERY_VALUE_ONCE[::7]
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_interval_holds_the_estimate_and_stays_inside_the_values(values):
    interval = bootstrap_mean(values, num_resamples=200)
    assert interval.estimate == pytest.approx(sum(values) / len(values))
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9


def test_a_difference_between_paired_runs_is_that_of_the_problems_and_not_of_their_spread():
    before = [i / 500 for i in range(400)]
    after = [value + 0.1 for value in before]
    difference = paired_difference(before, after)
    assert difference.estimate == pytest.approx(0.1)
    assert difference.low == pytest.approx(0.1)
    assert difference.high == pytest.approx(0.1)
    # Unpaired, the same numbers could not be told apart this well.
    assert bootstrap_mean(after).high - bootstrap_mean(after).low > 0.04


def test_a_difference_changes_its_sign_with_the_order_of_the_runs():
    before, after = HALF_RIGHT, [1.0] * 100 + HALF_RIGHT[100:]
    forward, backward = paired_difference(before, after), paired_difference(after, before)
    # 50 of 400 problems turn right.
    assert forward.estimate == pytest.approx(0.125)
    assert backward.estimate == pytest.approx(-0.125)
    assert forward.low > 0 > backward.high


def test_no_values_and_runs_on_other_problems_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="same problems, given 1 and 2"):
        paired_difference([0.0], [0.0, 1.0])
