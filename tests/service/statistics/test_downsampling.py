import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.downsampling import min_max_points


def kept(values, max_points):
    return min_max_points(np.array(values, dtype=np.float64), max_points=max_points).tolist()


def test_few_values_all_stay():
    assert kept([], 2) == []
    assert kept([3.0, math.nan, 1.0], 3) == [0, 1, 2]


def test_each_bucket_keeps_its_least_and_its_largest_between_the_ends():
    # Ends 0 and 9; (6 − 2) / 2 = 2 buckets of 4 between them: 5 1 9 4 | 2 2 7 0.
    assert kept([8, 5, 1, 9, 4, 2, 2, 7, 0, 3], 6) == [0, 2, 3, 7, 8, 9]


def test_a_constant_bucket_keeps_one_of_its_values():
    # Two buckets of 2 and 1 between the ends; the least and the largest are the same, the first.
    assert kept([1.0] * 7, 6) == [0, 1, 4, 6]


def test_two_points_are_the_ends():
    assert kept([1, 5, 2, 0, 4], 2) == [0, 4]
    assert kept([1, 5, 2, 0, 4], 3) == [0, 4]


def test_a_bucket_keeps_the_first_of_its_values_that_are_not_finite():
    # (8 − 2) / 3 = 2 buckets of 4: 5 nan 9 inf | 2 3 −inf 0. Infinities are neither least nor largest.
    values = [8, 5, math.nan, 9, math.inf, 2, 3, -math.inf, 0, 3]
    assert kept(values, 8) == [0, 1, 2, 3, 6, 7, 8, 9]


def test_a_bucket_without_a_finite_value_keeps_one():
    assert kept([1, math.nan, math.inf, math.nan, math.nan, 2], 5) == [0, 1, 5]


@given(
    st.lists(st.floats(width=16), max_size=200),
    st.integers(min_value=2, max_value=60),
)
def test_the_points_are_those_of_a_search_through_every_bucket(values, max_points):
    points = kept(values, max_points)
    assert len(points) <= max(max_points, 0)
    assert points == searched(values, max_points)


def searched(values, max_points):
    if len(values) <= max_points:
        return list(range(len(values)))
    inner = range(1, len(values) - 1)
    all_finite = all(math.isfinite(values[place]) for place in inner)
    num_buckets = (max_points - 2) // (2 if all_finite else 3)
    points = {0, len(values) - 1}
    start = 1
    for bucket in range(num_buckets):
        size = len(inner) // num_buckets + (bucket < len(inner) % num_buckets)
        places = range(start, start + size)
        start += size
        finite = [place for place in places if math.isfinite(values[place])]
        if finite:
            points.add(min(finite, key=lambda place: values[place]))
            points.add(max(finite, key=lambda place: values[place]))
        points.update([place for place in places if place not in finite][:1])
    return sorted(points)
