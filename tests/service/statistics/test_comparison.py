import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.statistics.comparison import compare_runs
from service.statistics.counts import Counts
from tests.service.statistics.difficulties import U_SHAPED, draw_chances, sample_counts, true_mean

WEAK = Counts(n=(8, 8, 8, 8), c=(0, 0, 4, 8))
BETTER = Counts(n=(8, 8, 8, 8), c=(1, 0, 3, 8))


def quick(first, second, k, **arguments):
    return compare_runs(first, second, k, num_draws=200, num_permutations=200, **arguments)


def test_the_difference_is_that_of_pass_at_k_and_wins_are_those_of_the_share():
    (alone,) = quick([WEAK], [BETTER], 8).benchmarks
    # pass@8 of 8: 0, 0, 1, 1 and 1, 0, 1, 1. By c / n: one win, one loss, two ties.
    assert alone.difference.estimate == pytest.approx(0.25)
    assert (alone.num_wins, alone.num_losses, alone.num_ties) == (1, 1, 2)


def test_the_mean_is_unweighted_over_benchmarks_and_counts_all_problems():
    comparison = quick([WEAK, Counts(n=(8,), c=(0,))], [BETTER, Counts(n=(8,), c=(8,))], 8)
    assert comparison.mean.difference.estimate == pytest.approx((0.25 + 1.0) / 2)
    assert (comparison.mean.num_wins, comparison.mean.num_losses) == (2, 1)
    assert len(comparison.benchmarks) == 2


def test_a_run_compared_with_itself_differs_in_nothing():
    (alone,) = quick([WEAK], [WEAK], 1).benchmarks
    assert alone.difference.estimate == 0.0
    assert alone.p_value == 1.0
    assert (alone.num_wins, alone.num_losses, alone.num_ties) == (0, 0, 4)
    # Eight samples that fell the same way do not prove the runs the same.
    assert alone.difference.low < 0 < alone.difference.high
    assert alone.difference.sampling_low < 0 < alone.difference.sampling_high


def test_a_run_that_solves_what_the_other_never_does_is_told_apart():
    first, second = Counts(n=(8,) * 30, c=(0, 1) * 15), Counts(n=(8,) * 30, c=(6,) * 30)
    mean = compare_runs([first], [second], 1).mean
    assert mean.p_value == pytest.approx(1 / 10_001)
    assert mean.difference.low > 0.5
    assert mean.difference.sampling_low > 0.5


def test_runs_may_have_different_samples_per_problem():
    first, second = Counts(n=(8, 8), c=(4, 2)), Counts(n=(32, 16), c=(16, 5))
    (alone,) = quick([first], [second], 8).benchmarks
    # 4/8 = 16/32 is a tie, 5/16 beats 2/8.
    assert (alone.num_wins, alone.num_losses, alone.num_ties) == (1, 0, 1)


@settings(max_examples=25, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=20))
def test_intervals_hold_the_difference_and_the_order_of_runs_is_its_sign(pairs):
    before, after = zip(*pairs, strict=True)
    first, second = (Counts(n=(8,) * len(pairs), c=c) for c in (before, after))
    forward, backward = quick([first], [second], 4).mean, quick([second], [first], 4).mean
    difference = forward.difference
    assert -1 <= difference.low <= difference.estimate <= difference.high <= 1
    assert difference.sampling_low <= difference.estimate <= difference.sampling_high
    assert backward.difference.estimate == pytest.approx(-difference.estimate)
    assert (backward.num_losses, backward.num_ties) == (forward.num_wins, forward.num_ties)
    assert backward.smallest_resolvable_difference == pytest.approx(
        forward.smallest_resolvable_difference
    )
    assert 0 < forward.p_value <= 1


def test_equal_arguments_give_equal_comparisons():
    assert quick([WEAK], [BETTER], 8, seed=3) == quick([WEAK], [BETTER], 8, seed=3)


def test_other_problems_and_too_few_samples_are_refused():
    with pytest.raises(ValueError, match=r"given \[4\] and \[4, 1\] problems"):
        quick([WEAK], [BETTER, Counts(n=(8,), c=(0,))], 1)
    with pytest.raises(ValueError, match=r"at least one benchmark, given \[\] and \[\]"):
        quick([], [], 1)
    with pytest.raises(ValueError, match="k is 16"):
        quick([WEAK], [BETTER], 16)


def test_what_it_says_of_a_true_difference_is_true():
    """Coverage of both intervals, and the smallest resolvable difference against the real errors."""
    generator = np.random.default_rng(6)
    num_trials = 30
    covered, standard_errors, errors = 0, [], []
    chances = draw_chances(U_SHAPED, generator)
    better = [p**0.8 for p in chances]
    truth = true_mean(better, 8) - true_mean(chances, 8)
    for _ in range(num_trials):
        first, second = (
            [sample_counts(p, 8, generator) for p in of_run] for of_run in (chances, better)
        )
        mean = quick(first, second, 8).mean
        covered += mean.difference.sampling_low <= truth <= mean.difference.sampling_high
        standard_errors.append(mean.smallest_resolvable_difference / 2.8)
        errors.append(mean.difference.estimate - truth)
    assert covered / num_trials >= 0.88
    # The standard error of a standard deviation of 30 errors is 13 %.
    assert np.mean(standard_errors) == pytest.approx(np.std(errors), rel=0.3)
    # n = 8 cannot separate .4978 from .5160: the standard error is about .02.
    assert 0.014 <= np.mean(standard_errors) <= 0.03
