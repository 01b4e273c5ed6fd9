import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.statistics.counts import Counts
from service.statistics.priors import fit_priors
from tests.service.statistics.difficulties import beta, sample_counts


def weighted_mean(priors):
    return priors.weights @ (priors.a / (priors.a + priors.b))


def weighted_log_concentration(priors):
    return priors.weights @ np.log(priors.a + priors.b)


@pytest.mark.parametrize(("a", "b"), [(0.4, 1.6), (0.8, 0.4), (6.0, 4.0)])
def test_where_problems_are_many_the_weight_is_at_the_difficulty_they_came_from(a, b):
    generator = np.random.default_rng(0)
    priors = fit_priors(sample_counts(beta(a, b)(generator, 5_000), 16, generator))
    assert priors.weights.sum() == pytest.approx(1.0)
    assert weighted_mean(priors) == pytest.approx(a / (a + b), abs=0.02)
    assert weighted_log_concentration(priors) == pytest.approx(np.log(a + b), abs=0.1)


def test_few_problems_leave_the_difficulty_open():
    generator = np.random.default_rng(0)
    chances = beta(0.4, 1.6)(generator, 5_000)
    few, many = (fit_priors(sample_counts(p, 8, generator)) for p in (chances[:30], chances))
    few_spread, many_spread = (np.ptp(np.log(priors.a + priors.b)) for priors in (few, many))
    assert few_spread > 4 * many_spread


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
def test_what_is_right_and_what_is_wrong_may_change_places(right):
    n = (8,) * len(right)
    priors = fit_priors(Counts(n=n, c=tuple(right)))
    mirrored = fit_priors(Counts(n=n, c=tuple(8 - c for c in right)))
    assert weighted_mean(priors) == pytest.approx(1.0 - weighted_mean(mirrored), abs=1e-6)


@pytest.mark.parametrize(
    "counts",
    [
        Counts(n=(8,) * 30, c=(0,) * 30),
        Counts(n=(8,) * 30, c=(8,) * 30),
        Counts(n=(1,), c=(0,)),
        Counts(n=(1,), c=(1,)),
        Counts(n=(1_000_000,) * 3, c=(0, 7, 1_000_000)),
        Counts(n=(4_096,) * 500, c=(2_048,) * 500),
        Counts(n=(1, 2, 300), c=(0, 2, 7)),
    ],
    ids=["all wrong", "all right", "one wrong", "one right", "huge n", "all alike", "mixed n"],
)
def test_extreme_counts_have_priors_too(counts):
    priors = fit_priors(counts)
    assert priors.weights.sum() == pytest.approx(1.0)
    assert np.isfinite(priors.a).all()
    assert np.isfinite(priors.b).all()
    assert (priors.a > 0).all()
    assert (priors.b > 0).all()


def test_representatives_are_spread_over_the_weight():
    priors = fit_priors(Counts(n=(8,) * 30, c=(0, 1, 3) * 10))
    chosen = priors.representatives(64)
    assert len(chosen.a) == 64
    assert weighted_mean(chosen) == pytest.approx(weighted_mean(priors), abs=0.005)
