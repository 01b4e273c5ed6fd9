"""Is a difference between two runs more than chance? The within-problem permutation test.

Where both runs solve a problem equally often, which run the c_1 + c_2 right samples fell to is a
hypergeometric draw. Problems are never exchanged with one another, so how hard they are cancels.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts
from service.statistics.hypergeometric import hypergeometric
from service.statistics.pass_at_k import pass_by_count

# Differences closer than this are the same one, summed in another order.
_ROUNDING = 1e-9


def permuted_differences(
    first: Counts,
    second: Counts,
    k: int,
    *,
    generator: np.random.Generator,
    num_permutations: int,
) -> NDArray[np.float64]:
    """Mean pass@k of the second run minus the first where the samples fall to either by chance.

    k at most every n; the runs' n may differ.
    """
    total = np.zeros(num_permutations)
    for chances, differences, num_problems in _splits(first, second, k):
        # Inverse of the distribution function; its last value may fall short of 1 by rounding.
        steps = np.cumsum(chances)[:-1]
        uniform = generator.random((num_permutations, num_problems))
        total += differences[np.searchsorted(steps, uniform, side="right")].sum(axis=1)
    return total / first.num_problems


def permutation_p_value(observed: float, permuted: NDArray[np.float64]) -> float:
    """Two-sided; the observed split counts as one more, so the p-value is never 0 (Phipson 2010)."""
    num_as_far = np.count_nonzero(np.abs(permuted) >= abs(observed) - _ROUNDING)
    return float((num_as_far + 1) / (len(permuted) + 1))


def _splits(
    first: Counts, second: Counts, k: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], int]]:
    """Of alike problems: chances of every split, its difference in pass@k, and how many there are."""
    pass_of = {n: pass_by_count(n, k) for n in set(chain(first.n, second.n))}
    pooled = (
        (n_first, n_second, c_first + c_second)
        for n_first, n_second, c_first, c_second in zip(
            first.n, second.n, first.c, second.c, strict=True
        )
    )
    for (n_first, n_second, num_right), num_problems in sorted(Counter(pooled).items()):
        if num_right in {0, n_first + n_second}:
            # One split only, and no difference.
            continue
        chances = hypergeometric(n_first + n_second, marked=num_right, drawn=n_first)
        (possible,) = np.nonzero(chances)
        differences = pass_of[n_second][num_right - possible] - pass_of[n_first][possible]
        yield chances[possible], differences, num_problems
