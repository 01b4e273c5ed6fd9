import math

import pytest
import torch
from torch import nn

from worker.training import gradients
from worker.training.gradients import Alignment, alignment, dot, mean_gradient, take_gradient


def test_an_alignment_is_the_cosine_and_the_ratio_of_norms_over_all_parameters() -> None:
    left = {"a": torch.tensor([[3.0, 0.0]]), "b": torch.tensor([4.0])}
    right = {"a": torch.tensor([[0.0, 6.0]]), "b": torch.tensor([8.0])}
    # |left| = 5, |right| = 10, left · right = 32.
    assert alignment(left, right) == Alignment(cosine=0.64, norm_ratio=0.5)


@pytest.mark.parametrize("broken", [0.0, math.nan, math.inf])
def test_a_gradient_that_is_zero_or_not_finite_points_nowhere(broken: float) -> None:
    whole, other = {"a": torch.tensor([1.0])}, {"a": torch.tensor([broken])}
    assert alignment(whole, other) == alignment(other, whole) == Alignment(None, None)


def test_a_parameter_without_a_gradient_counts_as_zero() -> None:
    left, right = {"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}, {"a": torch.tensor([2.0])}
    assert alignment(left, right).cosine == pytest.approx(0.6)


def test_large_tensors_are_multiplied_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "MAX_WIDENED", 3)
    left = {"a": torch.arange(8.0).view(2, 4)}
    assert dot(left, left) == 140.0  # 0 + 1 + 4 + 9 + 16 + 25 + 36 + 49


def test_means_are_joined_by_their_numbers_of_tokens() -> None:
    left, right = {"a": torch.tensor([1.0])}, {"a": torch.tensor([5.0]), "b": torch.tensor([4.0])}
    mean = mean_gradient(left, right, num_left=3, num_right=1)
    assert {name: tensor.tolist() for name, tensor in mean.items()} == {"a": [2.0], "b": [1.0]}


def test_a_taken_gradient_leaves_none_behind() -> None:
    model = nn.Linear(2, 1, bias=False)
    model(torch.ones(1, 2)).sum().backward()
    assert take_gradient(model)["weight"].tolist() == [[1.0, 1.0]]
    assert model.weight.grad is None
