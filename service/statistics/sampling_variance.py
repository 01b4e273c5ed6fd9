"""The exact variance of the unbiased pass@k estimate: these problems, other samples.

The estimate averages "all k wrong" over the k-subsets of n samples. Two subsets with j samples in common
are both wrong with chance (1 − p)^(2k − j), so for one problem

    Var = Σ_{j=1..k} P(overlap j) · [(1 − p)^(2k−j) − (1 − p)^(2k)],

which equals the sum over the binomial c but costs k terms, not n. p is taken over its Beta posterior.
"""

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts
from service.statistics.hypergeometric import hypergeometric
from service.statistics.priors import BetaPriors

# More pairs would change the standard error by at most 2 %.
_NUM_PAIRS = 64


def sampling_variance(counts: Counts, k: int, *, priors: BetaPriors) -> float:
    """Of the mean of pass@k over the problems, for the samples per problem that there are."""
    pairs = priors.representatives(_NUM_PAIRS)
    weights = {n: overlap_chances(n, k) for n in set(counts.n)}
    total = sum(
        num_problems * (weights[n] @ _covariances(n, c, k, pairs=pairs))
        for (n, c), num_problems in counts.distinct().items()
    )
    return float(total) / counts.num_problems**2


def covariances_by_overlap(counts: Counts, k: int, *, priors: BetaPriors) -> NDArray[np.float64]:
    """[k]: of two k-subsets with 1…k samples in common, for the mean over the problems.

    Free of n: its product with `overlap_chances(n, k)` is the variance at n samples a problem.
    """
    pairs = priors.representatives(_NUM_PAIRS)
    total = np.zeros(k)
    for (n, c), num_problems in counts.distinct().items():
        total += num_problems * _covariances(n, c, k, pairs=pairs)
    return total / counts.num_problems**2


def overlap_chances(n: int, k: int) -> NDArray[np.float64]:
    """[k]: that two random k-subsets of n have 1…k samples in common."""
    return hypergeometric(n, marked=k, drawn=k)[1:]


def _covariances(n: int, c: int, k: int, *, pairs: BetaPriors) -> NDArray[np.float64]:
    """[k]: E[(1 − p)^(2k−j) − (1 − p)^(2k)] for j = 1…k under p ~ Beta(a + c, b + n − c)."""
    a, b = (pairs.a + c)[:, None], (pairs.b + n - c)[:, None]
    power = np.arange(2 * k)
    # E[(1 − p)^m] = Π_{i<m} (b + i) / (a + b + i); column m − 1.
    all_wrong = np.cumprod((b + power) / (a + b + power), axis=1)
    union_sizes = 2 * k - np.arange(1, k + 1)
    return np.asarray((all_wrong[:, union_sizes - 1] - all_wrong[:, -1:]).mean(axis=0))
