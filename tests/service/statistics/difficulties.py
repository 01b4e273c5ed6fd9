"""Benchmarks of known difficulty: chances p of a right sample, drawn for as many problems as they have.

Each setting is AIME24, AIME25, MATH500 and AMC23. No model's problems are any of these exactly, which
is the point: an interval has to hold whatever the shape.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.statistics.counts import Counts

SIZES = (30, 30, 500, 40)
Difficulty = Callable[[np.random.Generator, int], NDArray[np.float64]]


def beta(a: float, b: float) -> Difficulty:
    return lambda generator, size: generator.beta(a, b, size)


def one_of(*values: float) -> Difficulty:
    return lambda generator, size: generator.choice(values, size)


def spiked(share_never: float, share_always: float) -> Difficulty:
    """So many problems that are never solved, so many that always are, and any p for the others."""

    def draw(generator: np.random.Generator, size: int) -> NDArray[np.float64]:
        kind = generator.random(size)
        chances = np.where(kind < share_never, 0.0, generator.random(size))
        return np.where(kind > 1.0 - share_always, 1.0, chances)

    return draw


U_SHAPED = (beta(0.12, 1.5), beta(0.1, 1.5), beta(0.8, 0.4), beta(0.5, 0.6))
SPIKED = (spiked(0.7, 0.05), spiked(0.75, 0.05), spiked(0.12, 0.4), spiked(0.25, 0.25))
STRONG = (beta(0.9, 0.4), beta(0.7, 0.5), beta(2.0, 0.15), beta(2.0, 0.2))
# No Beta looks like this: the bias of a fitted one covers the truth never.
NEVER_OR_HALF = (one_of(0.0, 0.5), one_of(0.0, 0.5), one_of(0.0, 0.5, 1.0, 1.0), one_of(0.0, 0.5))
SMALL = (one_of(0.0, 0.01), one_of(0.0, 0.01), beta(0.3, 0.6), beta(0.3, 3.0))

SETTINGS = {
    "u_shaped": U_SHAPED,
    "spiked": SPIKED,
    "strong": STRONG,
    "never_or_half": NEVER_OR_HALF,
    "small": SMALL,
}


def draw_chances(
    setting: tuple[Difficulty, ...], generator: np.random.Generator
) -> list[NDArray[np.float64]]:
    return [draw(generator, size) for draw, size in zip(setting, SIZES, strict=True)]


def sample_counts(chances: NDArray[np.float64], n: int, generator: np.random.Generator) -> Counts:
    return Counts(n=(n,) * len(chances), c=tuple(generator.binomial(n, chances).tolist()))


def true_mean(chances: list[NDArray[np.float64]], k: int) -> float:
    """The unweighted mean over benchmarks of their problems' true pass@k."""
    return float(np.mean([(1.0 - (1.0 - p) ** k).mean() for p in chances]))


def population_mean(setting: tuple[Difficulty, ...], k: int) -> float:
    """Of ever so many problems of the kind; good to three digits."""
    generator = np.random.default_rng(0)
    return true_mean([draw(generator, 200_000) for draw in setting], k)
