import numpy as np
import pytest

from service.statistics.study_comparison import (
    paired_difference,
    seed_spread,
    unpaired_difference,
)
from service.statistics.study_permutation import paired_p_values
from service.statistics.study_power import half_width

NUM_STUDIES, NUM_SEEDS, NUM_PROBLEMS, NUM_SAMPLES = 200, 8, 200, 8


def test_an_arm_is_its_mean_with_students_interval():
    spread = seed_spread(np.array([0.4, 0.5, 0.6]))
    assert (spread.num_seeds, spread.mean, spread.least, spread.greatest) == (3, 0.5, 0.4, 0.6)
    assert spread.sd == pytest.approx(0.1)
    # 4.303 · 0.1 / √3 = 0.2484.
    assert (spread.low, spread.high) == pytest.approx((0.2516, 0.7484), abs=1e-4)


def test_one_run_has_no_interval_and_none_is_refused():
    assert (seed_spread(np.array([0.4])).low, seed_spread(np.array([0.4])).sd) == (None, None)
    with pytest.raises(ValueError, match="at least one run"):
        seed_spread(np.array([]))


def test_shared_seeds_cancel_what_they_share():
    first = np.array([0.1, 0.3, 0.5, 0.2, 0.4, 0.6])
    second = first + np.array([0.02, 0.03, 0.02, 0.03, 0.02, 0.03])
    paired, unpaired = paired_difference(first, second), unpaired_difference(first, second)
    assert paired.estimate == pytest.approx(0.025)
    assert unpaired.estimate == pytest.approx(0.025)
    assert paired.p_value == 2 / 64
    assert unpaired.p_value > 0.5
    assert 0 < paired.low < 0.025 < paired.high < 0.05
    assert unpaired.low < -0.1


def test_arms_of_other_seeds_have_the_interval_of_two_samples():
    # Standard deviation 1 in both: 2.776 · √(1/3 + 1/3) = 2.267.
    found = unpaired_difference(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    assert (found.low, found.high) == pytest.approx((1 - 2.2666, 1 + 2.2666), abs=1e-3)
    assert found.smallest_p_value == 0.1


def test_three_seeds_resolve_nothing_however_far_apart_the_arms_are():
    found = paired_difference(np.zeros(3), np.array([0.5, 0.5, 0.6]))
    assert found.p_value == found.smallest_p_value == 0.25


@pytest.fixture(scope="module")
def same_arm_twice():
    """[arm, study, seed] pass@1 of two arms that are one and the same: seeds move them, samples are drawn.

    As the built-in task is: problems of any hardness, the standard deviation of a run's mean about 0.03.
    """
    generator = np.random.default_rng(20_261_126)
    logits = generator.normal(-0.5, 1.5, (NUM_STUDIES, 1, NUM_PROBLEMS))
    by_seed = generator.normal(0.0, 0.18, (2, NUM_STUDIES, NUM_SEEDS, 1))
    of_problem = generator.normal(0.0, 0.3, (2, NUM_STUDIES, NUM_SEEDS, NUM_PROBLEMS))
    chances = 1.0 / (1.0 + np.exp(-(logits + by_seed + of_problem)))
    right = generator.binomial(NUM_SAMPLES, chances)
    return right / NUM_SAMPLES


def test_the_same_arm_twice_differs_in_one_study_of_twenty_at_most(same_arm_twice):
    first, second = same_arm_twice.mean(axis=-1)
    share_found = np.mean(paired_p_values(second - first) <= 0.05)
    # Two standard errors of a share of 5 % in 200 studies.
    assert share_found <= 0.05 + 2 * (0.05 * 0.95 / NUM_STUDIES) ** 0.5
    assert share_found > 0.0


def test_the_interval_over_seeds_holds_no_difference_in_nineteen_studies_of_twenty(same_arm_twice):
    first, second = same_arm_twice.mean(axis=-1)
    differences = second - first
    widths = half_width(1.0, NUM_SEEDS) * differences.std(axis=1, ddof=1)
    share_held = np.mean(np.abs(differences.mean(axis=1)) <= widths)
    assert share_held == pytest.approx(0.95, abs=2 * (0.05 * 0.95 / NUM_STUDIES) ** 0.5)


def test_two_single_runs_judged_by_their_samples_alone_differ_far_more_often(same_arm_twice):
    first, second = same_arm_twice[:, :, 0]  # [study, problem] of one seed
    noise = (first * (1 - first) + second * (1 - second)).sum(axis=-1) / (NUM_SAMPLES - 1)
    differences = second.mean(axis=-1) - first.mean(axis=-1)
    share_found = np.mean(np.abs(differences) > 1.96 * noise**0.5 / NUM_PROBLEMS)
    assert share_found > 0.25
