import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.hypergeometric import hypergeometric


def test_two_of_four_marked_ones_split_one_four_one():
    # C(2,j) · C(2,2−j) / C(4,2) = 1/6, 4/6, 1/6.
    assert hypergeometric(4, marked=2, drawn=2) == pytest.approx([1 / 6, 4 / 6, 1 / 6])


def test_what_cannot_be_drawn_has_no_chance():
    # Of 4 with 3 marked, 2 drawn hold at least 1: C(3,1)·C(1,1)/6 and C(3,2)/6.
    assert hypergeometric(4, marked=3, drawn=2) == pytest.approx([0.0, 0.5, 0.5])


@given(population=st.integers(1, 9000), data=st.data())
def test_the_chances_sum_to_1_and_have_the_mean_of_drawing(population, data):
    marked, drawn = (data.draw(st.integers(0, population)) for _ in range(2))
    chances = hypergeometric(population, marked=marked, drawn=drawn)
    assert chances.sum() == pytest.approx(1.0)
    assert chances @ np.arange(drawn + 1) == pytest.approx(drawn * marked / population)
