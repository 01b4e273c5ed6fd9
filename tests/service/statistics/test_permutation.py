import numpy as np
import pytest

from service.statistics.counts import Counts
from service.statistics.pass_at_k import pass_of_problems
from service.statistics.permutation import permutation_p_value, permuted_differences
from tests.service.statistics.difficulties import SPIKED, sample_counts


def permute(first, second, k, *, num_permutations=20_000, seed=0):
    return permuted_differences(
        first,
        second,
        k,
        generator=np.random.default_rng(seed),
        num_permutations=num_permutations,
    )


def test_two_right_samples_of_four_fall_to_either_run_as_drawn_without_replacement():
    first, second = Counts(n=(2,), c=(0,)), Counts(n=(2,), c=(2,))
    permuted = permute(first, second, 1)
    # Differences −1, 0, 1 with chances 1/6, 4/6, 1/6.
    values, times = np.unique(permuted, return_counts=True)
    assert values.tolist() == [-1.0, 0.0, 1.0]
    assert times / len(permuted) == pytest.approx([1 / 6, 4 / 6, 1 / 6], abs=0.01)
    # As far as observed: 2 of 6.
    assert permutation_p_value(1.0, permuted) == pytest.approx(1 / 3, abs=0.01)


def test_problems_are_not_exchanged_with_one_another():
    # Either run solves the first always, the second never: no split differs.
    counts = Counts(n=(8, 8), c=(8, 0))
    permuted = permute(counts, counts, 8)
    assert not permuted.any()
    assert permutation_p_value(0.0, permuted) == 1.0


def test_runs_of_different_length_are_centred_too():
    # Without a centre the 24 samples of pass@4 would look better than the 6.
    permuted = permute(Counts(n=(6,) * 40, c=(2,) * 40), Counts(n=(24,) * 40, c=(8,) * 40), 4)
    assert permuted.mean() == pytest.approx(0.0, abs=0.002)


def test_the_p_value_is_never_0_and_counts_the_observed_split():
    # None of 99 as far: (0 + 1) / (99 + 1).
    assert permutation_p_value(0.5, np.zeros(99)) == pytest.approx(0.01)
    assert permutation_p_value(-0.5, np.full(99, 0.5)) == 1.0


@pytest.mark.parametrize(("n_second", "k"), [(8, 8), (8, 1), (24, 4)])
def test_where_both_runs_are_alike_one_in_twenty_is_called_different(n_second, k):
    generator = np.random.default_rng(2)
    num_trials = 300
    p_values = []
    for _ in range(num_trials):
        chances = np.concatenate([SPIKED[0](generator, 30), SPIKED[3](generator, 40)])
        first = sample_counts(chances, 8, generator)
        second = sample_counts(chances, n_second, generator)
        observed = (pass_of_problems(second, k) - pass_of_problems(first, k)).mean()
        permuted = permute(first, second, k, num_permutations=300, seed=1)
        p_values.append(permutation_p_value(observed, permuted))
    # Standard errors at 300 trials: .013 at .05, .029 at .5. Ties make it the rarer the fewer values the
    # difference has: at n = k = 8 a problem counts 0 or 1.
    assert np.mean(np.array(p_values) <= 0.05) <= 0.08
    assert 0.3 <= np.mean(np.array(p_values) <= 0.5) <= 0.58
