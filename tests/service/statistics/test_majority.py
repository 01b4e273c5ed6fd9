import math
import tracemalloc
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.statistics.majority import (
    Vote,
    majority_at_k,
    majority_estimate,
    mean_majority_estimate,
)

RIGHT, WRONG, OTHER, SILENT = Vote("7", True), Vote("3", False), Vote("4", False), Vote(None, False)
VOTES = st.sampled_from([RIGHT, WRONG, OTHER, SILENT])


def majority(votes, k, **arguments):
    return majority_at_k([votes], k, **arguments)[0]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([RIGHT, RIGHT, WRONG], 1.0),
        ([RIGHT, WRONG, WRONG], 0.0),
        ([RIGHT, WRONG], 1 / 2),
        ([RIGHT, WRONG, OTHER], 1 / 3),
        # Silence is no answer, however frequent.
        ([RIGHT, SILENT, SILENT], 1.0),
        ([SILENT, SILENT], 0.0),
        ([WRONG, SILENT], 0.0),
    ],
)
def test_the_most_frequent_answer_is_taken_and_ties_are_shared(votes, expected):
    assert majority(votes, len(votes)) == pytest.approx(expected)


def test_fewer_votes_are_averaged_over_all_choices():
    # Pairs of R R W: RR is right, RW and RW are ties: (1 + ½ + ½) / 3.
    assert majority([RIGHT, RIGHT, WRONG], 2) == pytest.approx(2 / 3)


def test_an_answer_that_was_judged_right_once_is_right():
    # The other judgement timed out.
    assert majority([RIGHT, Vote("7", False), WRONG], 3) == 1.0


def test_two_right_answers_of_different_form_vote_apart():
    assert majority([RIGHT, Vote("7.0", True), WRONG, WRONG], 4) == 0.0
    assert majority([RIGHT, Vote("7.0", True), WRONG], 3) == pytest.approx(2 / 3)


@given(st.lists(VOTES, min_size=1, max_size=8), st.data())
def test_it_is_the_mean_over_every_subset(votes, data):
    k = data.draw(st.integers(1, len(votes)))
    subsets = [majority(subset, k) for subset in combinations(votes, k)]
    assert majority(votes, k) == pytest.approx(sum(subsets) / len(subsets))


@given(st.lists(VOTES, min_size=1, max_size=30))
def test_maj_at_1_is_pass_at_1(votes):
    assert majority(votes, 1) == pytest.approx(votes.count(RIGHT) / len(votes))


def test_where_choices_are_too_many_they_are_drawn_by_seed():
    # 16 samples, k = 8: 12,870 choices. By hand over the hypergeometric splits of 9 right and 7 wrong.
    votes = [RIGHT] * 9 + [WRONG] * 7
    expected = sum(
        math.comb(9, right) * math.comb(7, 8 - right) * (1.0 if right > 4 else 0.5 * (right == 4))
        for right in range(1, 9)
    ) / math.comb(16, 8)
    drawn = majority(votes, 8, seed=1)
    assert drawn == pytest.approx(expected, abs=0.04)
    assert drawn == majority(votes, 8, seed=1)
    assert drawn != majority(votes, 8, seed=2)


def test_many_choices_of_many_answers_take_little_memory():
    votes = [Vote(str(key), key == 0) for key in range(1000)]
    tracemalloc.start()
    try:
        share = majority(votes, 999)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 999 of the 1,000 choices hold the right answer, each in a tie of 999.
    assert share == pytest.approx(1 / 1000)
    assert peak_bytes < 64 * 2**20


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(VOTES, min_size=4, max_size=6), min_size=1, max_size=10))
def test_the_interval_holds_the_mean_over_problems(problems):
    estimate = majority_estimate(problems, 3)
    values = majority_at_k(problems, 3)
    assert estimate.estimate == pytest.approx(sum(values) / len(values))
    assert 0.0 <= estimate.low <= estimate.estimate <= estimate.high <= 1.0


def test_the_mean_over_benchmarks_is_unweighted():
    solved, unsolved = [[RIGHT, RIGHT]], [[WRONG, RIGHT]] * 3
    assert mean_majority_estimate([solved, unsolved], 2).estimate == pytest.approx(0.75)


def test_too_few_samples_and_no_problems_are_refused():
    with pytest.raises(ValueError, match="k is 3, but maj@k needs 1 ≤ k ≤ n, and n is 2"):
        majority_at_k([[RIGHT, WRONG]], 3)
    with pytest.raises(ValueError, match=r"needs a benchmark with problems, given \[0\]"):
        majority_estimate([], 1)
