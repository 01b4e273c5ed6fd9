import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.holm import holm

P_VALUES = st.lists(st.floats(0.0, 1.0), max_size=12)


def test_the_smallest_is_multiplied_by_all_and_the_next_by_one_fewer():
    # .01·3 = .03; .03·2 = .06; .04·1 = .04, raised to the .06 before it.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))


def test_one_comparison_needs_no_adjustment_and_none_is_none():
    assert holm([0.04]) == (0.04,)
    assert holm([]) == ()


@given(P_VALUES)
def test_it_only_raises_keeps_the_order_and_ends_at_1(p_values):
    adjusted = holm(p_values)
    ranked = [value for _, value in sorted(zip(p_values, adjusted, strict=True))]
    assert all(p <= value <= 1.0 for p, value in zip(p_values, adjusted, strict=True))
    assert ranked == sorted(ranked)


@given(P_VALUES.filter(bool))
def test_it_refuses_no_more_than_bonferroni(p_values):
    bonferroni = [min(1.0, len(p_values) * p) for p in p_values]
    assert all(value <= limit for value, limit in zip(holm(p_values), bonferroni, strict=True))


def test_what_is_no_p_value_is_refused():
    with pytest.raises(ValueError, match=r"1\.5 is not a p-value"):
        holm([0.5, 1.5])
