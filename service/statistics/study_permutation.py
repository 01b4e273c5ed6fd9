"""Is a difference between two arms more than the chance of their seeds? Permutation tests with seeds as the units.

Samples and problems are averaged away before: a run is one number. Where the arms share their seeds, a pair's
difference could as well have the other sign; where they do not, any run could be of either arm. Both are exact
where few enough arrangements exist, and so never find more than they claim.
"""

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

# 2^15 signs of sixteen pairs; beyond it, arrangements are drawn.
MAX_EXACT_PAIRS = 16
MAX_EXACT_SPLITS = 50_000
NUM_DRAWN = 20_000
# Differences closer than this are the same one, summed in another order.
_ROUNDING = 1e-9


def paired_p_value(differences: NDArray[np.float64], *, seed: int = 0) -> float:
    """Two-sided, of the mean of [num_pairs] differences, each of one seed; 1 where there is no pair."""
    if not differences.size:
        return 1.0
    return float(paired_p_values(differences[None, :], seed=seed)[0])


def paired_p_values(differences: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float64]:
    """[num_studies] p-values of [num_studies, num_pairs] differences, by one set of signs."""
    num_pairs = differences.shape[1]
    is_exact = num_pairs <= MAX_EXACT_PAIRS
    signs = _all_signs(num_pairs) if is_exact else _drawn_signs(num_pairs, seed)
    observed = np.abs(differences.sum(axis=1))
    tolerance = _ROUNDING * np.maximum(1.0, observed)
    as_far = np.abs(differences @ signs.T) >= (observed - tolerance)[:, None]
    num_as_far = np.count_nonzero(as_far, axis=1)
    if is_exact:
        return np.asarray(num_as_far / len(signs))
    return np.asarray((num_as_far + 1) / (len(signs) + 1))


def unpaired_p_value(
    first: NDArray[np.float64], second: NDArray[np.float64], *, seed: int = 0
) -> float:
    """Two-sided, of the difference of the means of two arms that share no seed; 1 where one has none."""
    if not first.size or not second.size:
        return 1.0
    pooled = np.concatenate([first, second])
    num_splits = math.comb(len(pooled), len(first))
    is_exact = num_splits <= MAX_EXACT_SPLITS
    members = (
        _all_splits(len(pooled), len(first))
        if is_exact
        else _drawn_splits(len(pooled), len(first), seed)
    )
    of_first = pooled[members].mean(axis=1)
    of_second = (pooled.sum() - pooled[members].sum(axis=1)) / len(second)
    observed = abs(float(second.mean() - first.mean()))
    num_as_far = int(np.count_nonzero(np.abs(of_second - of_first) >= observed - _ROUNDING))
    return num_as_far / num_splits if is_exact else (num_as_far + 1) / (len(members) + 1)


def smallest_paired_p_value(num_pairs: int) -> float:
    """What no study of so many shared seeds gets below: all differences of one sign, of 2^num_pairs."""
    return min(1.0, 2.0 ** (1 - num_pairs))


def smallest_unpaired_p_value(num_first: int, num_second: int) -> float:
    """As `smallest_paired_p_value`, of arms that share no seed."""
    num_extreme = 2 if num_first == num_second else 1
    return min(1.0, num_extreme / math.comb(num_first + num_second, num_first))


def _all_signs(num_pairs: int) -> NDArray[np.float64]:
    """[2^(num_pairs − 1), num_pairs]: the first sign is +, for the other half is its mirror image."""
    places = np.arange(2 ** max(num_pairs - 1, 0))[:, None] >> np.arange(max(num_pairs - 1, 0))
    signs = np.hstack([np.ones((len(places), 1)), 1.0 - 2.0 * (places & 1)])
    return np.asarray(signs, dtype=np.float64)


def _drawn_signs(num_pairs: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return np.asarray(generator.choice([-1.0, 1.0], size=(NUM_DRAWN, num_pairs)))


def _all_splits(num_runs: int, num_first: int) -> NDArray[np.int64]:
    return np.array(list(combinations(range(num_runs), num_first)), dtype=np.int64)


def _drawn_splits(num_runs: int, num_first: int, seed: int) -> NDArray[np.int64]:
    generator = np.random.default_rng(seed)
    order = generator.random((NUM_DRAWN, num_runs)).argsort(axis=1)
    return np.asarray(order[:, :num_first], dtype=np.int64)
