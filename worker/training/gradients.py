"""Gradients of a whole model as values: taken from the model into the host's memory, and compared there."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# By the parameter's name, in float32 or wider; a parameter without a gradient is not there.
Gradient = Mapping[str, Tensor]

# Numbers that are widened to float64 at a time.
MAX_WIDENED = 2**24


def take_gradient(model: nn.Module) -> dict[str, Tensor]:
    """The gradients of the model's parameters, which then have none."""
    taken = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            taken[name] = parameter.grad.detach().to("cpu")
            parameter.grad = None
    return taken


@dataclass(frozen=True, slots=True)
class Alignment:
    """Of a gradient with a reference: None where one of them is zero or not finite."""

    cosine: float | None
    norm_ratio: float | None


def alignment(gradient: Gradient, reference: Gradient) -> Alignment:
    """The cosine between the two, and the gradient's norm over the reference's."""
    size, reference_size = dot(gradient, gradient) ** 0.5, dot(reference, reference) ** 0.5
    if not 0 < size * reference_size < math.inf:
        return Alignment(None, None)
    return Alignment(dot(gradient, reference) / (size * reference_size), size / reference_size)


def dot(left: Gradient, right: Gradient) -> float:
    """Summed in float64."""
    return math.fsum(
        torch.dot(a.double(), b.double()).item()
        for name in left.keys() & right.keys()
        for a, b in _pieces(left[name], right[name])
    )


def mean_gradient(
    left: dict[str, Tensor], right: dict[str, Tensor], *, num_left: int, num_right: int
) -> dict[str, Tensor]:
    """Of two means over so many tokens, that over all of them; the two are spent."""
    for name in left.keys() | right.keys():
        if name not in left:
            left[name] = torch.zeros_like(right[name])
        left[name].mul_(num_left / (num_left + num_right))
        if name in right:
            left[name].add_(right[name], alpha=num_right / (num_left + num_right))
    return left


def _pieces(left: Tensor, right: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(left.flatten().split(MAX_WIDENED), right.flatten().split(MAX_WIDENED), strict=True)
