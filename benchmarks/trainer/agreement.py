"""Variants that claim to compute the same have to: no time is taken of gradients that differ."""

from collections.abc import Callable

from torch import Tensor

from benchmarks.trainer.head_problem import HeadProblem

MAX_RELATIVE_ERROR = 1e-4


def check_same_gradients(
    problem: HeadProblem, one: Callable[[], object], other: Callable[[], object]
) -> None:
    """Raises where the gradients of two variants differ by more than rounding."""
    for left, right in zip(_gradients(problem, one), _gradients(problem, other), strict=True):
        error = (left - right).abs().max().item() / left.abs().max().item()
        if not error <= MAX_RELATIVE_ERROR:
            raise AssertionError(
                f"gradients differ by {error:.1e}, allowed {MAX_RELATIVE_ERROR:.0e}"
            )


def _gradients(problem: HeadProblem, run: Callable[[], object]) -> list[Tensor]:
    problem.student.zero_grad()
    run()
    gradients = [parameter.grad.clone() for parameter in problem.student.parameters()]
    problem.student.zero_grad()
    return gradients
