import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.counts import Counts
from service.statistics.pass_at_k import pass_at_k, pass_by_count, pass_of_problems
from tests.golden_numbers import golden_cases

ROUNDING = 1e-12


@st.composite
def counts(draw):
    n = draw(st.integers(1, 200))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@pytest.mark.golden
def test_the_golden_numbers_are_met():
    cases = golden_cases("pass_at_k")
    assert cases
    computed = [pass_at_k(case["n"], case["c"], case["k"]) for case in cases]
    assert computed == pytest.approx([case["value"] for case in cases], rel=0, abs=1e-12)


@given(n=st.integers(1, 7), data=st.data())
def test_it_is_the_share_of_k_subsets_that_hold_a_right_sample(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
    share = sum(any(subset) for subset in subsets) / len(subsets)
    assert pass_at_k(n, c, k) == pytest.approx(share, abs=1e-12)


@given(counts())
def test_it_is_exactly_one_when_fewer_than_k_samples_are_wrong(case):
    n, c, k = case
    assert pass_at_k(n, max(c, n - k + 1), k) == 1.0


@given(counts())
def test_it_grows_with_the_right_samples_and_with_k(case):
    n, c, k = case
    value = pass_at_k(n, c, k)
    assert 0.0 <= value <= 1.0
    assert pass_at_k(n, min(c + 1, n), k) >= value - ROUNDING
    assert pass_at_k(n, c, min(k + 1, n)) >= value - ROUNDING


@given(counts())
def test_pass_at_1_is_the_share_of_right_samples(case):
    n, c, _ = case
    assert pass_at_k(n, c, 1) == pytest.approx(c / n, abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 4, 8), (0, 0, 1), (4, 2, 0), (4, 5, 1), (4, -1, 1)])
def test_counts_without_a_meaning_are_refused(n, c, k):
    with pytest.raises(ValueError, match="but"):
        pass_at_k(n, c, k)


@given(n=st.integers(1, 300), data=st.data())
def test_all_counts_at_once_give_what_each_gives(n, data):
    k = data.draw(st.integers(1, n))
    alone = [pass_at_k(n, c, k) for c in range(n + 1)]
    assert pass_by_count(n, k) == pytest.approx(alone, abs=1e-12)


def test_problems_keep_their_order_and_may_have_different_n():
    # 1 − C(3,2)/C(4,2) = ½ and 1 − C(1,2)/C(2,2) = 1.
    assert pass_of_problems(Counts(n=(4, 2, 4), c=(1, 1, 0)), 2).tolist() == [0.5, 1.0, 0.0]


def test_one_problem_with_too_few_samples_refuses_the_benchmark():
    with pytest.raises(ValueError, match="k is 4, but pass@k needs 1 ≤ k ≤ n, and n is 3"):
        pass_of_problems(Counts(n=(8, 3), c=(1, 1)), 4)
