"""The hypergeometric distribution: marked ones among those drawn without replacement."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def hypergeometric(population: int, *, marked: int, drawn: int) -> NDArray[np.float64]:
    """The chances of 0…drawn marked ones; 0 where impossible, and the sum is 1."""
    least, most = max(0, drawn + marked - population), min(drawn, marked)
    logs = [
        _log_combinations(marked, hits) + _log_combinations(population - marked, drawn - hits)
        for hits in range(least, most + 1)
    ]
    chances = np.zeros(drawn + 1)
    chances[least : most + 1] = _proportions(logs)
    return chances


def _log_combinations(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _proportions(logs: Iterable[float]) -> NDArray[np.float64]:
    """Normalised here: log-gamma of thousands is good to twelve digits only."""
    values = np.array(list(logs))
    chances = np.exp(values - values.max())
    return np.asarray(chances / chances.sum())
