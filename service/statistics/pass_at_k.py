"""pass@k: the chance that at least one of k samples is right, estimated from n samples."""

import numpy as np


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
