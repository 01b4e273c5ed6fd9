"""Losses and gradients against golden numbers, and the clip worked by hand."""

import pytest
import torch
from torch import Tensor

from service.jobs.loss_spec import GateSpec, SampledTokenObjective, TeacherTopKObjective
from service.jobs.spec_fields import SpecPart
from tests.golden_numbers import golden_cases
from tests.worker.training.test_gate import units_of
from worker.training.gate import drift_nats, gate_weights
from worker.training.head import top_k_lowest_ids
from worker.training.losses import sampled_token_losses, support_matching_losses


class GoldenSpec(SpecPart):
    objective: SampledTokenObjective | TeacherTopKObjective
    gate: GateSpec


def sampled_log_probs(logits_NV: Tensor, tokens_N: Tensor) -> Tensor:
    return torch.log_softmax(logits_NV, dim=-1).gather(1, tokens_N[:, None])[:, 0]


def position_losses(
    cur_NV: Tensor, old_NV: Tensor, teacher_NV: Tensor, tokens_N: Tensor, spec: GoldenSpec
) -> Tensor:
    match spec.objective:
        case SampledTokenObjective():
            logits = (cur_NV, old_NV, teacher_NV)
            scores = [sampled_log_probs(logits_NV, tokens_N) for logits_NV in logits]
            return sampled_token_losses(*scores, objective=spec.objective).losses_N
        case TeacherTopKObjective():
            support_NK = top_k_lowest_ids(teacher_NV, k=spec.objective.k)
            return support_matching_losses(
                cur_NV.gather(1, support_NK), teacher_NV.gather(1, support_NK)
            )


@pytest.mark.golden
@pytest.mark.parametrize("case", golden_cases("losses"), ids=lambda case: case["name"])
def test_loss_and_gradient_equal_the_golden_ones_to_1e_10(case: dict) -> None:
    spec = GoldenSpec.model_validate(case["spec"])
    valid_BT = torch.tensor(case["mask"], dtype=torch.bool)
    cur_BTV = torch.tensor(case["logits_cur"], dtype=torch.float64, requires_grad=True)
    cur_NV = cur_BTV[valid_BT]
    old_NV = torch.tensor(case["logits_old"], dtype=torch.float64)[valid_BT]
    teacher_NV = torch.tensor(case["logits_teacher"], dtype=torch.float64)[valid_BT]
    tokens_N = torch.tensor(case["tokens"])[valid_BT]
    newlines = [
        [bool(newline) for newline, valid in zip(row, mask, strict=True) if valid]
        for row, mask in zip(case["newline"], case["mask"], strict=True)
    ]
    drift_N = drift_nats(sampled_log_probs(cur_NV, tokens_N), sampled_log_probs(old_NV, tokens_N))
    weights_N = gate_weights(drift_N, units_of(newlines, spec.gate), spec=spec.gate).weights_N
    losses_N = position_losses(cur_NV, old_NV, teacher_NV, tokens_N, spec)
    loss = (weights_N * losses_N).sum() / len(losses_N)
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], rel=1e-10, abs=1e-10)
    expected = torch.tensor(case["grad_logits_cur"], dtype=torch.float64)
    torch.testing.assert_close(cur_BTV.grad, expected, rtol=1e-10, atol=1e-10)


def losses_at(
    ratio: float, log_teacher_ratio: float, **objective: object
) -> tuple[float, float, bool]:
    """Loss, its derivative by log pi_cur, and whether it counts as clipped."""
    cur_N = torch.tensor([ratio], dtype=torch.float64).log().requires_grad_()
    old_N = torch.zeros(1, dtype=torch.float64)
    teacher_N = torch.tensor([log_teacher_ratio], dtype=torch.float64)
    spec = SampledTokenObjective.model_validate(objective)
    result = sampled_token_losses(cur_N, old_N, teacher_N, objective=spec)
    (gradient,) = torch.autograd.grad(result.losses_N.sum(), cur_N)
    return result.losses_N.item(), gradient.item(), bool(result.clipped_N.item())


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "clipped"),
    [
        (1.1, 2.0, -2.2, -2.2, False),  # inside the clip range: −A r
        (1.5, 2.0, -2.4, 0.0, True),  # a good token already raised enough: −A · 1.2
        (0.5, 2.0, -1.0, -1.0, False),  # a good token that fell is not held back
        (0.5, -2.0, 1.6, 0.0, True),  # a bad token already lowered enough: −A · 0.8
        (2.0, -2.0, 4.0, 4.0, False),  # a bad token that rose: −A r, below −c A = 6
        (5.0, -2.0, 6.0, 0.0, True),  # the dual clip: −c A
    ],
)
def test_the_ppo_and_the_dual_clip_by_hand(
    ratio: float, advantage: float, loss: float, gradient: float, clipped: bool
) -> None:
    result = losses_at(ratio, advantage)
    assert result == (pytest.approx(loss), pytest.approx(gradient), clipped)


def test_without_clips_the_loss_is_the_plain_product() -> None:
    result = losses_at(5.0, -2.0, clip_range=None, dual_clip=None)
    assert result == (pytest.approx(10.0), pytest.approx(10.0), False)


def test_a_constant_advantage_ignores_the_teacher() -> None:
    result = losses_at(1.0, 7.0, advantage="constant")
    assert result == (pytest.approx(1.0), pytest.approx(1.0), False)


def test_a_ratio_beyond_the_exponent_clamp_stays_finite_in_both_passes() -> None:
    loss, gradient, _ = losses_at(1e30, -2.0, clip_range=None, dual_clip=None)
    assert loss == pytest.approx(2 * 4.851651954e8)  # 2 e^20
    assert gradient == 0.0


def test_support_matching_is_zero_where_the_renormalised_policies_agree() -> None:
    teacher_NK = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64)
    student_NK = teacher_NK - 5.0  # the same distribution on the support, less mass inside it
    assert support_matching_losses(student_NK, teacher_NK).item() == pytest.approx(0.0, abs=1e-15)
