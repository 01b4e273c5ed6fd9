import pytest

from service.statistics.counts import Counts


def test_alike_problems_are_counted_together_in_the_order_of_their_outcomes():
    counts = Counts(n=(8, 4, 8, 8), c=(3, 4, 0, 3))
    assert counts.num_problems == 4
    assert list(counts.distinct().items()) == [((4, 4), 1), ((8, 0), 1), ((8, 3), 2)]


def test_counts_can_be_the_key_of_a_cache():
    assert {Counts(n=(8,), c=(3,)): "known"}[Counts(n=(8,), c=(3,))] == "known"


@pytest.mark.parametrize(
    ("n", "c", "message"),
    [
        ((), (), "at least one, given 0 n and 0 c"),
        ((8, 8), (1,), "given 2 n and 1 c"),
        ((8,), (9,), "9 of 8 samples right is impossible"),
        ((8,), (-1,), "-1 of 8 samples right is impossible"),
        ((0,), (0,), "0 of 0 samples right is impossible"),
    ],
)
def test_counts_that_cannot_be_are_refused(n, c, message):
    with pytest.raises(ValueError, match=message):
        Counts(n=n, c=c)
