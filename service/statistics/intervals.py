"""95 % intervals of draws that are made elsewhere.

No interval says anything about another training seed, whose variance is larger than that of the
samples.
"""

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (2.5, 97.5)


def interval_of(
    draws: NDArray[np.float64], *, estimate: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Low and high of the draws along the last axis; of several rows, the widest at either end.

    Holds the estimate and stays inside the bounds.
    """
    lows, highs = np.percentile(draws, PERCENTILES, axis=-1)
    least, greatest = bounds
    return (
        min(estimate, max(least, float(np.min(lows)))),
        max(estimate, min(greatest, float(np.max(highs)))),
    )
