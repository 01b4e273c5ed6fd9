"""Fewer points of a curve that still show every peak."""

import numpy as np
from numpy.typing import NDArray


def min_max_points(values: NDArray[np.float64], *, max_points: int) -> NDArray[np.int64]:
    """Ascending positions of at most `max_points` (2 or more) of the values; all where they are so few.

    The first and the last are there. What lies between them is cut into buckets whose sizes differ by one at
    most, the larger ones first; each gives its least and its largest finite value. Where any value is not
    finite, each bucket that holds one gives the first of them too, and the buckets are fewer:
    (max_points − 2) // 3 instead of // 2.
    """
    if len(values) <= max_points:
        return np.arange(len(values))
    inner = values[1:-1]
    num_buckets = (max_points - 2) // (2 if np.isfinite(inner).all() else 3)
    ends = [0, len(values) - 1]
    if num_buckets == 0:
        return np.array(ends)
    size, num_larger = divmod(len(inner), num_buckets)
    cut = num_larger * (size + 1)
    larger = inner[:cut].reshape(num_larger, size + 1)
    others = inner[cut:].reshape(num_buckets - num_larger, size)
    return np.unique(
        np.concatenate([ends, 1 + _peaks_of_rows(larger), 1 + cut + _peaks_of_rows(others)])
    )


def _peaks_of_rows(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Flat positions of each row's least and largest finite value, and of its first that is not finite."""
    starts = np.arange(rows.shape[0]) * rows.shape[1]
    finite = np.isfinite(rows)
    if finite.all():
        return np.concatenate([starts + rows.argmin(axis=1), starts + rows.argmax(axis=1)])
    least = starts + np.where(finite, rows, np.inf).argmin(axis=1)
    largest = starts + np.where(finite, rows, -np.inf).argmax(axis=1)
    first_other = starts + finite.argmin(axis=1)
    is_finite = finite.ravel()
    return np.concatenate(
        [least[is_finite[least]], largest[is_finite[largest]], first_other[~is_finite[first_other]]]
    )
