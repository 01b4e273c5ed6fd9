"""The learning rate of every update, by hand, and what AdamW does in half precision."""

import pytest
import torch

from service.jobs.spec import OptimizerSpec
from worker.training.optimizer import StudentOptimizer, learning_rate_at


def rates(schedule: dict, *, total_updates: int) -> list[float]:
    spec = OptimizerSpec.model_validate({"learning_rate": 0.8, "schedule": schedule})
    return [learning_rate_at(update, total_updates, spec) for update in range(1, total_updates + 1)]


def test_by_default_the_rate_is_constant() -> None:
    assert rates({}, total_updates=3) == [0.8, 0.8, 0.8]


def test_a_warm_up_rises_in_equal_steps_to_the_full_rate() -> None:
    # 0.8 × (1/4, 2/4, 3/4, 4/4), then as it stands.
    expected = [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    assert rates({"warmup_updates": 4}, total_updates=6) == pytest.approx(expected)


def test_linear_falls_by_equal_amounts_to_the_final_fraction() -> None:
    # From 0.8 at update 1 to 0.8 × 0.5 = 0.4 at update 5: 0.1 less each.
    actual = rates({"type": "linear", "final_fraction": 0.5}, total_updates=5)
    assert actual == pytest.approx([0.8, 0.7, 0.6, 0.5, 0.4])


def test_linear_after_a_warm_up_falls_from_its_last_update() -> None:
    # Warm-up 0.4, 0.8; then three updates down to nothing: 0.8 × (2/3, 1/3, 0).
    actual = rates({"type": "linear", "warmup_updates": 2, "final_fraction": 0.0}, total_updates=5)
    assert actual == pytest.approx([0.4, 0.8, 1.6 / 3, 0.8 / 3, 0.0])


def test_cosine_is_half_way_down_in_the_middle_and_flat_at_both_ends() -> None:
    # Heights (1 + cos πp) / 2 at p = 0, 1/3, 2/3, 1 give 1, 3/4, 1/4, 0.
    # With final_fraction 1/4: 0.8 × (1, 1/4 + 3/4 · 3/4, 1/4 + 3/4 · 1/4, 1/4).
    actual = rates({"type": "cosine", "final_fraction": 0.25}, total_updates=4)
    assert actual == pytest.approx([0.8, 0.65, 0.35, 0.2])


def test_cosine_after_a_warm_up() -> None:
    # Warm-up 0.4, 0.8; p = 1/2, 1 give heights 1/2, 0.
    schedule = {"type": "cosine", "warmup_updates": 2, "final_fraction": 0.0}
    assert rates(schedule, total_updates=4) == pytest.approx([0.4, 0.8, 0.4, 0.0], abs=1e-15)


@pytest.mark.parametrize("type_", ["constant", "linear", "cosine"])
def test_a_job_that_is_all_warm_up_ends_at_the_full_rate(type_: str) -> None:
    assert rates({"type": type_, "warmup_updates": 2}, total_updates=2) == [0.4, 0.8]


@pytest.mark.parametrize("type_", ["constant", "linear", "cosine"])
def test_a_job_of_one_update_has_the_full_rate(type_: str) -> None:
    assert rates({"type": type_}, total_updates=1) == [0.8]


def after_updates(dtype: torch.dtype, *, num_updates: int) -> tuple[float, StudentOptimizer]:
    """A weight of 1 after updates at a constant gradient, each of which moves it by −0.001."""
    layer = torch.nn.Linear(1, 1, bias=False).to(dtype)
    torch.nn.init.ones_(layer.weight)
    optimizer = StudentOptimizer(layer, spec=OptimizerSpec(weight_decay=0.0))
    for _ in range(num_updates):
        layer.weight.sum().backward()
        optimizer.step(1e-3)
    assert layer.weight.grad is None
    return layer.weight.item(), optimizer


def test_steps_below_the_gap_between_bfloat16_numbers_add_up() -> None:
    # Below 1 the gap is 1/256 = 0.0039, so steps of 0.001 would all be rounded away. 1 − 10 × 0.001 = 0.99,
    # and the bfloat16 numbers around it are 0.98828 and 0.99219.
    weight, optimizer = after_updates(torch.bfloat16, num_updates=10)
    tensors = optimizer.tensors()
    assert weight == 0.98828125
    assert tensors["weight/master"].item() == pytest.approx(0.99, abs=1e-6)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_a_float32_weight_is_its_own_master() -> None:
    weight, optimizer = after_updates(torch.float32, num_updates=10)
    assert weight == pytest.approx(0.99, abs=1e-6)
    assert optimizer.tensors().keys() == {"weight/step", "weight/exp_avg", "weight/exp_avg_sq"}


def test_a_fused_step_is_that_of_the_plain_one_and_its_state_can_be_restored() -> None:
    def after(num_updates: int, *, is_fused: bool, state: dict | None = None) -> StudentOptimizer:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        optimizer = StudentOptimizer(layer, spec=OptimizerSpec(), is_fused=is_fused)
        if state is not None:
            optimizer.load(state)
        for _ in range(num_updates):
            layer(torch.ones(1, 3)).square().sum().backward()
            optimizer.step(1e-2)
        return optimizer

    plain, fused = (after(3, is_fused=each).tensors() for each in (False, True))
    assert plain.keys() == fused.keys()
    for key, tensor in plain.items():
        torch.testing.assert_close(fused[key], tensor)
    again = after(1, is_fused=True, state=plain).tensors()
    assert again["weight/step"] == 4
