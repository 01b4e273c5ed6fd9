import numpy as np
import pytest

from service.statistics.gate_effect import WeightSums, weight_sums


def test_figures_of_weights_worked_by_hand() -> None:
    # w = .5, 1, 1.5, so Σw = 3, Σw² = 3.5; |w − 1| |l| = .5·2 + 0 + .5·4 of Σ|l| = 10.
    sums = weight_sums(np.array([0.5, 1.0, 1.5]), np.array([2.0, 4.0, 4.0]), num_units=2)
    assert (sums.num_tokens, sums.num_units, sums.smallest, sums.largest) == (3, 2, 0.5, 1.5)
    assert sums.standard_deviation == pytest.approx((0.5 / 3) ** 0.5)
    assert sums.effective_sample_size == pytest.approx(9 / (3 * 3.5))
    assert sums.share_of_loss_moved == pytest.approx(0.3)


def test_several_updates_together_are_as_one_of_all_their_tokens() -> None:
    weights, losses = np.array([0.2, 1.8, 0.9, 1.1]), np.array([1.0, 2.0, 0.0, 5.0])
    parts = [
        weight_sums(weights[part], losses[part], num_units=1) for part in (slice(2), slice(2, 4))
    ]
    together, whole = sum(parts, WeightSums()), weight_sums(weights, losses, num_units=2)
    assert together.standard_deviation == pytest.approx(whole.standard_deviation)
    assert together.effective_sample_size == pytest.approx(whole.effective_sample_size)
    assert together.share_of_loss_moved == pytest.approx(whole.share_of_loss_moved)
    assert (together.smallest, together.largest) == (0.2, 1.8)


def test_a_gate_that_hardly_differs_from_one_keeps_its_dispersion() -> None:
    # Σw²/n − 1 is 1e-18 here: it would round away.
    sums = weight_sums(np.array([1 - 1e-9, 1 + 1e-9]), np.ones(2), num_units=2)
    assert sums.standard_deviation == pytest.approx(1e-9, rel=1e-6)


def test_closed_gates_and_losses_of_zero_are_no_division_by_zero() -> None:
    closed = weight_sums(np.zeros(2), np.zeros(2), num_units=1)
    assert (closed.effective_sample_size, closed.share_of_loss_moved) == (0.0, 0.0)
