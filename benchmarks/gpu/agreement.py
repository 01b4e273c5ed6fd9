"""What is timed is also right: gradients against those of float64 on the CPU."""

from collections.abc import Sequence

from torch import Tensor


def relative_error(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Norm of the difference over the norm, of all tensors as one vector; on the CPU in float64."""
    difference = norm = 0.0
    for one, other in zip(actual, expected, strict=True):
        exact = other.detach().cpu().double()
        difference += (one.detach().cpu().double() - exact).square().sum().item()
        norm += exact.square().sum().item()
    return float((difference / norm) ** 0.5)
