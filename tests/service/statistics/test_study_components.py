import numpy as np
import pytest

from service.statistics.counts import Counts
from service.statistics.study_components import (
    difference_components,
    mean_score,
    run_components,
)

NUM_PROBLEMS, NUM_SAMPLES, NUM_SEEDS = 200, 8, 30


def runs_of(generator, *, seed_sd, chances):
    """Of one arm: a seed moves every problem's chance alike."""
    moves = generator.normal(0.0, seed_sd, NUM_SEEDS)
    return [
        [
            Counts(
                n=(NUM_SAMPLES,) * len(chances),
                c=tuple(generator.binomial(NUM_SAMPLES, np.clip(chances + move, 0, 1)).tolist()),
            )
        ]
        for move in moves
    ]


def test_seeds_samples_and_problems_are_told_apart():
    generator = np.random.default_rng(3)
    chances = generator.uniform(0.3, 0.7, NUM_PROBLEMS)
    found = run_components(runs_of(generator, seed_sd=0.03, chances=chances), 1)
    # Uniform of width 0.4: its standard deviation is 0.4 / √12.
    assert found.problem_sd == pytest.approx(0.4 / 12**0.5 / NUM_PROBLEMS**0.5, rel=0.1)
    of_samples = (chances * (1 - chances)).mean() / NUM_SAMPLES / NUM_PROBLEMS
    assert found.sampling_sd == pytest.approx(of_samples**0.5, rel=0.1)
    assert found.seed_sd == pytest.approx(0.03, rel=0.25)


def test_runs_that_differ_by_their_samples_alone_have_no_variance_of_seeds_to_speak_of():
    generator = np.random.default_rng(4)
    chances = generator.uniform(0.3, 0.7, NUM_PROBLEMS)
    found = run_components(runs_of(generator, seed_sd=0.0, chances=chances), 1)
    assert found.seed_sd < 0.5 * found.sampling_sd


def test_what_all_problems_share_between_two_arms_is_no_variance_of_problems():
    generator = np.random.default_rng(5)
    chances = generator.uniform(0.2, 0.6, NUM_PROBLEMS)
    first = runs_of(generator, seed_sd=0.0, chances=chances)
    second = runs_of(generator, seed_sd=0.0, chances=chances + 0.1)
    found = difference_components(first, second, 1)
    one = run_components(first, 1)
    assert found.problem_sd < 0.3 * one.problem_sd
    assert found.sampling_sd == pytest.approx(2**0.5 * one.sampling_sd, rel=0.05)


def test_a_mean_is_unweighted_over_benchmarks():
    run = [Counts(n=(2, 2, 2), c=(2, 2, 2)), Counts(n=(2,), c=(0,))]
    assert mean_score(run, 1) == 0.5


def test_one_seed_says_nothing_of_seeds():
    assert run_components([[Counts(n=(2, 2), c=(1, 2))]], 1) is None
