import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.budgets import BudgetSample, scores_by_budget, token_budgets

SAMPLES = st.builds(BudgetSample, response_tokens=st.integers(1, 100), is_right=st.booleans())


def test_budgets_double_from_16_and_end_at_the_limit():
    assert token_budgets(100) == (16, 32, 64, 100)
    assert token_budgets(64) == (16, 32, 64)
    assert token_budgets(10) == (10,)


def test_a_sample_is_right_where_it_is_right_within_the_budget():
    problem = [BudgetSample(20, is_right=True), BudgetSample(40, is_right=False)]
    at_16, at_32, at_64 = scores_by_budget([problem], (1, 2), 64)
    assert [score.max_response_tokens for score in (at_16, at_32, at_64)] == [16, 32, 64]
    assert at_16.pass_at == {"1": 0.0, "2": 0.0}
    assert at_32.pass_at == {"1": 0.5, "2": 1.0}
    # Both are longer than 16, one is longer than 32.
    assert [score.fraction_truncated for score in (at_16, at_32, at_64)] == [1.0, 0.5, 0.0]


def test_a_response_of_exactly_the_budget_fits():
    (at_16, _) = scores_by_budget([[BudgetSample(16, is_right=True)]], (1,), 32)
    assert at_16.pass_at["1"] == 1.0
    assert at_16.fraction_truncated == 0.0


def test_what_its_own_limit_cut_off_is_cut_off_at_every_budget():
    problem = [BudgetSample(32, is_right=False, is_truncated=True), BudgetSample(9, is_right=True)]
    assert [s.fraction_truncated for s in scores_by_budget([problem], (1,), 32)] == [0.5, 0.5]


@given(st.lists(st.lists(SAMPLES, min_size=2, max_size=5), min_size=1, max_size=6))
def test_more_tokens_never_score_less_nor_truncate_more(problems):
    scores = scores_by_budget(problems, (1, 2), 100)
    for k in ("1", "2"):
        passes = [score.pass_at[k] for score in scores]
        assert passes == sorted(passes)
    cut_off = [score.fraction_truncated for score in scores]
    assert cut_off == sorted(cut_off, reverse=True)


def test_responses_beyond_the_limit_and_too_few_samples_are_refused():
    problem = [BudgetSample(20, is_right=True)]
    with pytest.raises(ValueError, match="20 tokens is longer than the limit, 16"):
        scores_by_budget([problem], (1,), 16)
    with pytest.raises(ValueError, match="k is 2, but pass@k needs"):
        scores_by_budget([problem], (2,), 32)
    with pytest.raises(ValueError, match="must be at least 1"):
        token_budgets(0)
