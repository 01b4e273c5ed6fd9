import numpy as np
import pytest

from service.statistics.intervals import interval_of
from service.statistics.pass_at_k import pass_of_problems
from service.statistics.problem_bootstrap import bootstrap_draws
from tests.service.statistics.difficulties import (
    SETTINGS,
    STRONG,
    draw_chances,
    population_mean,
    sample_counts,
)


def draw(values, *, extremes=(0.0, 1.0), num_draws=20_000):
    return bootstrap_draws(
        np.array(values),
        extremes=extremes,
        generator=np.random.default_rng(0),
        num_draws=num_draws,
    )


def test_the_observed_problems_give_their_mean_and_its_standard_error():
    values = [i / 99 for i in range(100)]
    observed, _ = draw(values)
    assert observed.mean() == pytest.approx(0.5, abs=0.001)
    assert observed.std() == pytest.approx(np.std(values) / np.sqrt(101), rel=0.03)


def test_with_the_unseen_it_is_jeffreys_interval_of_a_proportion():
    # Beta(6.5, 34.5): mean 6.5 / 41 and variance m(1 − m) / 42.
    _, completed = draw([1.0] * 6 + [0.0] * 34)
    mean = 6.5 / 41
    assert completed.mean() == pytest.approx(mean, abs=0.002)
    assert completed.std() == pytest.approx(np.sqrt(mean * (1 - mean) / 42), rel=0.03)


def test_problems_that_agree_are_not_taken_for_all_problems():
    observed, completed = draw([1.0] * 40)
    assert np.ptp(observed) == pytest.approx(0.0)
    # Jeffreys for 40 of 40: the 2.5 % point of Beta(40.5, ½) is .939.
    assert np.percentile(completed, 2.5) == pytest.approx(0.939, abs=0.003)


def test_equal_values_give_the_same_draws_however_they_were_computed():
    third = 1 / 3
    computed_otherwise = 1 - (1 - third) * 1.0
    assert (draw([third, 1.0, third]) == draw([third, 1.0, computed_otherwise])).all()


def test_the_extremes_are_where_unseen_problems_lie():
    _, narrow = draw([0.0] * 30, extremes=(-0.125, 0.125))
    _, wide = draw([0.0] * 30, extremes=(-1.0, 1.0))
    assert wide.std() == pytest.approx(8 * narrow.std(), rel=0.05)
    assert wide.mean() == pytest.approx(0.0, abs=0.002)


def mean_interval(values, generator):
    """Of the unweighted mean over benchmarks, as an estimate of pass@k makes it."""
    draws = [
        bootstrap_draws(one, extremes=(0.0, 1.0), generator=generator, num_draws=500)
        for one in values
    ]
    estimate = float(np.mean([one.mean() for one in values]))
    return interval_of(np.mean(draws, axis=0), estimate=estimate, bounds=(0.0, 1.0))


@pytest.mark.parametrize("k", [1, 8])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_mean_of_four_benchmarks_covers_all_problems_of_the_kind(name, k):
    """New problems and new samples in every trial, n = 8."""
    generator = np.random.default_rng(13)
    population = population_mean(SETTINGS[name], k)
    num_trials, covered = 150, 0
    for _ in range(num_trials):
        chances = draw_chances(SETTINGS[name], generator)
        values = [pass_of_problems(sample_counts(p, 8, generator), k) for p in chances]
        low, high = mean_interval(values, generator)
        covered += low <= population <= high
    assert 0.88 <= covered / num_trials <= 0.995


def test_forty_problems_that_are_nearly_all_solved_are_covered_where_percentiles_fail():
    generator = np.random.default_rng(14)
    strong_amc = STRONG[3]
    population = float((1 - (1 - strong_amc(generator, 200_000)) ** 8).mean())
    num_trials, covered = 100, {"percentiles": 0, "with the unseen": 0}
    for _ in range(num_trials):
        counts = sample_counts(strong_amc(generator, 40), 8, generator)
        values = pass_of_problems(counts, 8)
        low, high = mean_interval([values], generator)
        covered["with the unseen"] += low <= population <= high
        resamples = generator.choice(values, size=(200, len(values))).mean(axis=1)
        low, high = np.percentile(resamples, [2.5, 97.5])
        covered["percentiles"] += low <= population <= high
    assert covered["percentiles"] / num_trials < 0.5
    assert covered["with the unseen"] / num_trials >= 0.88
