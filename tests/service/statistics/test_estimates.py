import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.statistics.counts import Counts
from service.statistics.estimates import mean_pass_estimate, pass_estimate
from tests.service.statistics.difficulties import (
    SETTINGS,
    draw_chances,
    sample_counts,
    true_mean,
)

COUNTS = Counts(n=(4, 4, 4), c=(0, 1, 4))


@st.composite
def benchmarks(draw):
    n = draw(st.lists(st.integers(1, 12), min_size=1, max_size=20))
    return Counts(n=tuple(n), c=tuple(draw(st.integers(0, samples)) for samples in n))


def test_the_estimate_is_the_mean_of_the_problems_and_the_mean_is_unweighted_over_benchmarks():
    # pass@2 of c = 0, 1, 4 of 4: 0, ½, 1. One problem of pass@2 = 1 weighs as much as those three.
    single = Counts(n=(4,), c=(3,))
    assert pass_estimate(COUNTS, 2).estimate == pytest.approx(0.5)
    assert mean_pass_estimate([COUNTS, single], 2).estimate == pytest.approx(0.75)


def test_a_benchmark_alone_is_its_own_mean():
    assert pass_estimate(COUNTS, 2, seed=5) == mean_pass_estimate([COUNTS], 2, seed=5)


def test_equal_arguments_give_equal_estimates_and_another_seed_other_intervals():
    assert pass_estimate(COUNTS, 2) == pass_estimate(COUNTS, 2)
    first, second = pass_estimate(COUNTS, 2, seed=1), pass_estimate(COUNTS, 2, seed=2)
    assert first.estimate == second.estimate
    assert (first.low, first.sampling_low) != (second.low, second.sampling_low)


@settings(max_examples=60, deadline=None)
@given(counts=benchmarks(), data=st.data())
def test_both_intervals_hold_the_estimate_and_stay_between_0_and_1(counts, data):
    k = data.draw(st.integers(1, min(counts.n)))
    interval = pass_estimate(counts, k, num_draws=100)
    assert 0.0 <= interval.low <= interval.estimate <= interval.high <= 1.0
    assert 0.0 <= interval.sampling_low <= interval.estimate <= interval.sampling_high <= 1.0


@pytest.mark.parametrize(
    ("counts", "k"),
    [
        (Counts(n=(8,) * 30, c=(0,) * 30), 8),
        (Counts(n=(8,) * 30, c=(8,) * 30), 1),
        (Counts(n=(1,), c=(1,)), 1),
        (Counts(n=(4, 4), c=(0, 4)), 4),
    ],
    ids=["all wrong", "all right", "one problem", "two problems"],
)
def test_no_benchmark_is_known_for_sure(counts, k):
    interval = pass_estimate(counts, k)
    assert interval.high - interval.low > 0.01
    assert interval.sampling_high - interval.sampling_low > 0.001


def test_more_samples_narrow_the_sampling_interval_and_not_the_problems_interval():
    generator = np.random.default_rng(0)
    chances = generator.beta(0.5, 0.5, 40)
    few, many = (pass_estimate(sample_counts(chances, n, generator), 1) for n in (8, 800))
    assert many.sampling_high - many.sampling_low < 0.2 * (few.sampling_high - few.sampling_low)
    assert many.high - many.low > 0.8 * (few.high - few.low)


def test_too_few_samples_and_no_benchmarks_are_refused():
    with pytest.raises(ValueError, match="k is 8, but pass@k needs 1 ≤ k ≤ n, and n is 4"):
        pass_estimate(COUNTS, 8)
    with pytest.raises(ValueError, match="at least one benchmark, given none"):
        mean_pass_estimate([], 1)


@pytest.mark.parametrize("name", ["u_shaped", "spiked", "strong", "never_or_half"])
def test_the_sampling_interval_covers_these_problems_over_new_samples(name):
    """The mean of four benchmarks at n = 8, with problems of their own in every trial."""
    generator = np.random.default_rng(11)
    num_trials = 40
    covered = {1: 0, 8: 0}
    for _ in range(num_trials):
        chances = draw_chances(SETTINGS[name], generator)
        counts = [sample_counts(p, 8, generator) for p in chances]
        for k in covered:
            interval = mean_pass_estimate(counts, k, num_draws=200)
            truth = true_mean(chances, k)
            covered[k] += interval.sampling_low <= truth <= interval.sampling_high
    assert min(covered.values()) / num_trials >= 0.88


def test_an_interval_is_not_right_by_being_wide():
    """Against the errors that are really made, over other samples of other problems."""
    generator = np.random.default_rng(12)
    errors, widths = [], []
    for _ in range(30):
        chances = draw_chances(SETTINGS["u_shaped"], generator)
        counts = [sample_counts(p, 8, generator) for p in chances]
        interval = mean_pass_estimate(counts, 8, num_draws=100)
        errors.append(interval.estimate - true_mean(chances, 8))
        widths.append(interval.sampling_high - interval.sampling_low)
    # The standard error of a standard deviation of 30 errors is 13 %.
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(errors), rel=0.3)
