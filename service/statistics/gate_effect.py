"""What weights do to the loss that they are put on: sums over tokens, so that the effect on several updates is one too."""

import math
from dataclasses import dataclass

import numpy as np

from service.statistics.token_drift import Reals


@dataclass(frozen=True, slots=True)
class WeightSums:
    """Over tokens, of the weights' distance from 1: so small a one would be lost in a sum of squared weights."""

    num_tokens: int = 0
    num_units: int = 0
    excess: float = 0.0
    squared_excess: float = 0.0
    smallest: float = math.inf
    largest: float = -math.inf
    loss: float = 0.0
    loss_moved: float = 0.0

    def __add__(self, other: "WeightSums") -> "WeightSums":
        return WeightSums(
            num_tokens=self.num_tokens + other.num_tokens,
            num_units=self.num_units + other.num_units,
            excess=self.excess + other.excess,
            squared_excess=self.squared_excess + other.squared_excess,
            smallest=min(self.smallest, other.smallest),
            largest=max(self.largest, other.largest),
            loss=self.loss + other.loss,
            loss_moved=self.loss_moved + other.loss_moved,
        )

    @property
    def standard_deviation(self) -> float:
        mean = self.excess / self.num_tokens
        return math.sqrt(max(self.squared_excess / self.num_tokens - mean * mean, 0.0))

    @property
    def effective_sample_size(self) -> float:
        """(Σ w)² / (n Σ w²), from 0 to 1; 0 where every weight is 0."""
        total = self.num_tokens + self.excess
        squares = self.num_tokens + 2 * self.excess + self.squared_excess
        return total * total / (self.num_tokens * squares) if self.largest > 0 else 0.0

    @property
    def share_of_loss_moved(self) -> float:
        """Σ |w − 1| |l| / Σ |l|; 0 where no token has a loss."""
        return self.loss_moved / self.loss if self.loss > 0 else 0.0


def weight_sums(weights_N: Reals, abs_losses_N: Reals, *, num_units: int) -> WeightSums:
    """Of one update, which has a token."""
    excess_N = weights_N - 1
    return WeightSums(
        num_tokens=len(weights_N),
        num_units=num_units,
        excess=float(excess_N.sum()),
        squared_excess=float(np.square(excess_N).sum()),
        smallest=float(weights_N.min()),
        largest=float(weights_N.max()),
        loss=float(abs_losses_N.sum()),
        loss_moved=float((np.abs(excess_N) * abs_losses_N).sum()),
    )
