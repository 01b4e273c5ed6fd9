"""pass@k: the chance that at least one of k samples is right, estimated from n samples."""

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate 1 − C(n−c, k) / C(n, k) from n samples of which c are right.

    Computed as 1 − Π_{i=n−c+1..n}(1 − k/i), which neither overflows nor cancels; exactly 1 when fewer
    than k samples are wrong. Undefined, so a ValueError, for n < k.
    """
    if not 0 <= c <= n:
        raise ValueError(f"c is {c}, but must be from 0 to n, which is {n}")
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}, but pass@k needs 1 ≤ k ≤ n, and n is {n}")
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def pass_of_problems(counts: Counts, k: int) -> NDArray[np.float64]:
    """The unbiased estimate of every problem, in their order; a ValueError where an n < k."""
    value_of = {(n, c): pass_at_k(n, c, k) for n, c in counts.distinct()}
    return np.array([value_of[outcome] for outcome in zip(counts.n, counts.c, strict=True)])


def pass_by_count(n: int, k: int) -> NDArray[np.float64]:
    """The unbiased estimates for c = 0…n right samples of n, 1 ≤ k ≤ n."""
    factors = 1.0 - k / np.arange(n, 0, -1)
    return 1.0 - np.concatenate([[1.0], np.cumprod(factors)])
