import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.counts import Counts
from service.statistics.pass_at_k import pass_by_count
from service.statistics.priors import BetaPriors
from service.statistics.sampling_variance import (
    covariances_by_overlap,
    overlap_chances,
    sampling_variance,
)


def only(a, b):
    return BetaPriors(a=np.array([a]), b=np.array([b]), weights=np.ones(1))


def log_beta(a, b):
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def test_two_pairs_of_four_samples_overlap_by_one_in_four_of_six_cases():
    assert overlap_chances(4, 2) == pytest.approx([4 / 6, 1 / 6])


def test_one_wrong_sample_under_a_flat_prior_has_the_variance_of_a_coin_of_unknown_bias():
    # Beta(1, 2) after it: E[p(1 − p)] = 1·2 / (3·4) = 1/6.
    counts = Counts(n=(1,), c=(0,))
    assert sampling_variance(counts, 1, priors=only(1.0, 1.0)) == pytest.approx(1 / 6)


def test_problems_are_averaged_and_so_is_their_variance():
    one, four = Counts(n=(1,), c=(0,)), Counts(n=(1,) * 4, c=(0,) * 4)
    # Four times the variance over sixteen: a quarter.
    assert sampling_variance(four, 1, priors=only(1.0, 1.0)) == pytest.approx(
        sampling_variance(one, 1, priors=only(1.0, 1.0)) / 4
    )


@given(
    n=st.integers(1, 60),
    a=st.floats(0.05, 20.0),
    b=st.floats(0.05, 20.0),
    data=st.data(),
)
def test_it_is_the_sum_over_the_binomial(n, a, b, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    alpha, beta = a + c, b + n - c
    # Another n samples are right c′ times with the beta-binomial chance; q = 1 − (1 − p)^k.
    chances = np.exp(
        [
            math.log(math.comb(n, other))
            + log_beta(alpha + other, beta + n - other)
            - log_beta(alpha, beta)
            for other in range(n + 1)
        ]
    )
    wrong_k, wrong_2k = (
        math.exp(log_beta(alpha, beta + power) - log_beta(alpha, beta)) for power in (k, 2 * k)
    )
    expected = chances @ pass_by_count(n, k) ** 2 - (1 - 2 * wrong_k + wrong_2k)
    counts = Counts(n=(n,), c=(c,))
    assert sampling_variance(counts, k, priors=only(a, b)) == pytest.approx(expected, abs=1e-9)


@given(k=st.integers(1, 16), c=st.integers(0, 16), more=st.integers(1, 200))
def test_the_covariances_give_the_variance_at_any_n_and_more_samples_lessen_it(k, c, more):
    counts = Counts(n=(16, 16), c=(c, 3))
    priors = only(0.5, 0.7)
    covariances = covariances_by_overlap(counts, k, priors=priors)
    as_sampled = overlap_chances(16, k) @ covariances
    assert as_sampled == pytest.approx(sampling_variance(counts, k, priors=priors))
    assert overlap_chances(16 + more, k) @ covariances < as_sampled
