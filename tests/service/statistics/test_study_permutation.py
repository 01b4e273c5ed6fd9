import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.statistics.study_permutation import (
    MAX_EXACT_PAIRS,
    paired_p_value,
    paired_p_values,
    smallest_paired_p_value,
    smallest_unpaired_p_value,
    unpaired_p_value,
)


def test_three_pairs_of_one_sign_are_two_of_eight_arrangements():
    assert paired_p_value(np.array([1.0, 2.0, 3.0])) == 0.25
    assert smallest_paired_p_value(3) == 0.25


def test_six_pairs_are_the_first_that_reach_five_per_cent():
    assert [smallest_paired_p_value(n) <= 0.05 for n in (5, 6)] == [False, True]
    assert paired_p_value(np.full(6, 0.1)) == 2 / 64


def test_three_runs_against_three_others_are_two_of_twenty_splits():
    assert unpaired_p_value(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])) == 0.1
    assert smallest_unpaired_p_value(3, 3) == 0.1
    # The mirror image of 2 against 4 is 4 against 2, which is no split of these.
    assert unpaired_p_value(np.array([1.0, 2.0]), np.array([3.0, 3.1, 3.2, 3.3])) == 1 / 15
    assert smallest_unpaired_p_value(2, 4) == 1 / 15


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=7))
@settings(max_examples=60)
def test_the_paired_p_value_is_a_count_of_all_signs(whole):
    differences = np.array(whole) / 10
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, whole, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(whole))
    ]
    expected = np.mean([each >= abs(sum(whole)) for each in sums])
    assert paired_p_value(differences) == pytest.approx(expected)


def test_no_difference_and_no_pair_find_nothing():
    assert paired_p_value(np.zeros(8)) == 1.0
    assert paired_p_value(np.array([])) == 1.0
    assert unpaired_p_value(np.array([]), np.array([1.0])) == 1.0
    assert smallest_paired_p_value(0) == 1.0


def test_drawn_arrangements_agree_with_all_of_them():
    generator = np.random.default_rng(5)
    exact = generator.normal(0.5, 1.0, MAX_EXACT_PAIRS)
    # Two more pairs of no difference change no sum, and are beyond what is counted.
    drawn = np.concatenate([exact, [0.0, 0.0]])
    assert paired_p_value(drawn) == pytest.approx(paired_p_value(exact), abs=0.01)
    first, second = generator.normal(0, 1, 10), generator.normal(0.8, 1, 10)
    # 184,756 splits are drawn from; the p-value repeats.
    assert unpaired_p_value(first, second) == unpaired_p_value(first, second)
    assert 0.001 < unpaired_p_value(first, second) < 0.5


def test_several_studies_at_once_are_each_as_alone():
    studies = np.random.default_rng(1).normal(0.3, 1.0, (20, 7))
    alone = [paired_p_value(study) for study in studies]
    assert list(paired_p_values(studies)) == alone
