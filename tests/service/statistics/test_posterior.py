import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.statistics.counts import Counts
from service.statistics.pass_at_k import pass_by_count, pass_of_problems
from service.statistics.posterior import sampling_posterior
from tests.service.statistics.difficulties import SPIKED, sample_counts


def draw(counts, k, *, seed=0, num_draws=400):
    return sampling_posterior(counts, k, generator=np.random.default_rng(seed), num_draws=num_draws)


@settings(max_examples=40, deadline=None)
@given(right=st.lists(st.integers(0, 8), min_size=1, max_size=40), k=st.integers(1, 8))
def test_the_draws_have_the_unbiased_estimate_as_mean_and_spread_at_least_like_it(right, k):
    counts = Counts(n=(8,) * len(right), c=tuple(right))
    posterior = draw(counts, k)
    assert posterior.draws.mean() == pytest.approx(pass_of_problems(counts, k).mean())
    assert posterior.draws.var() >= posterior.variance * (1 - 1e-9)


def test_with_many_samples_it_is_the_normal_distribution_of_the_share():
    # p = .3, 40 problems of 400 samples: standard error √(.21 / 16,000) = .0036.
    posterior = draw(Counts(n=(400,) * 40, c=(120,) * 40), 1, num_draws=4_000)
    assert posterior.variance**0.5 == pytest.approx(0.0036, rel=0.02)
    assert posterior.draws.std() == pytest.approx(0.0036, rel=0.08)


def test_the_variance_is_that_of_other_samples_of_the_same_problems():
    generator = np.random.default_rng(3)
    chances = SPIKED[2](generator, 500)
    right = generator.binomial(8, chances, size=(2_000, 500))
    true_variance = pass_by_count(8, 8)[right].mean(axis=1).var()
    estimated = [draw(sample_counts(chances, 8, generator), 8).variance for _ in range(10)]
    # A fifth too much in the standard error: many problems of p = 0 look like problems of small p.
    assert 1.0 <= (np.mean(estimated) / true_variance) ** 0.5 <= 1.4


def test_thirty_wrong_problems_leave_room_for_rare_successes_and_one_leaves_more():
    thirty, one = (
        np.percentile(draw(Counts(n=(8,) * num, c=(0,) * num), 8).draws, 97.5) for num in (30, 1)
    )
    assert 0.03 < thirty < 0.13
    assert one > 0.4


def test_resampling_the_outcomes_would_miss_the_truth_and_this_does_not():
    generator = np.random.default_rng(4)
    chances = SPIKED[2](generator, 500)
    truth = (1 - (1 - chances) ** 8).mean()
    covered = {"outcomes": 0, "posterior": 0}
    num_trials = 30
    for _ in range(num_trials):
        counts = sample_counts(chances, 8, generator)
        resampled = generator.binomial(8, np.array(counts.c) / 8, size=(300, 500))
        for name, draws in (
            ("outcomes", pass_by_count(8, 8)[resampled].mean(axis=1)),
            ("posterior", draw(counts, 8, num_draws=300).draws),
        ):
            low, high = np.percentile(draws, [2.5, 97.5])
            covered[name] += low <= truth <= high
    assert covered["outcomes"] / num_trials < 0.3
    assert covered["posterior"] / num_trials > 0.88
