"""bfloat16 against float32: the head accumulates in float32, and gradients agree to bfloat16's rounding."""

import pytest
import torch
from torch import Tensor

from service.jobs.spec import JobSpec
from tests.worker.training.tiny_models import CPU, RULES, random_rollouts, tiny_qwen3
from worker.training.batching import cut_into_micro_batches
from worker.training.head import HeadGradient, sampled_log_probs
from worker.training.teacher import LocalTeacher
from worker.training.update import (
    ScoredMicroBatch,
    UpdateOutcome,
    accumulate_gradient,
    log_probs_of,
)

OBJECTIVES = {
    "sampled_token": {"type": "sampled_token", "clip_range": None, "dual_clip": None},
    "teacher_topk": {"type": "teacher_topk", "k": 5},
}


def gradients(
    dtype: torch.dtype, *, objective: dict, tied: bool
) -> tuple[UpdateOutcome, dict[str, Tensor]]:
    """One gated update of a student in `dtype`; the targets are those of float32 models."""
    spec = JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "objective": objective,
            "gate": {"block_size": 4},
        }
    )
    student = tiny_qwen3(1, tied=tied, dtype=dtype)
    behaviour, teacher = (tiny_qwen3(seed, tied=tied, dtype=torch.float32) for seed in (3, 2))
    batches = cut_into_micro_batches(
        random_rollouts(4),
        gate=spec.gate,
        rules=RULES,
        drift_map_block_size=4,
        max_tokens=60,
        device=CPU,
    )
    scores = LocalTeacher(teacher, objective=spec.objective).score(batches)
    minibatch = [
        ScoredMicroBatch(batch, score, log_probs_of(behaviour, batch))
        for batch, score in zip(batches, scores, strict=True)
    ]
    outcome = accumulate_gradient(student, minibatch, spec=spec, shuffle_seed=3)
    return outcome, {name: p.grad.float() for name, p in student.named_parameters()}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_gradients_agree_with_float32(objective: dict, tied: bool) -> None:
    exact, expected = gradients(torch.float32, objective=objective, tied=tied)
    rounded, actual = gradients(torch.bfloat16, objective=objective, tied=tied)
    assert rounded.loss == pytest.approx(exact.loss, rel=0.05)
    assert exact.gate.weights_N.std() > 0.1
    # bfloat16 rounds to 1 part in 256, and a few dozen roundings lie between a weight and the loss.
    for name, gradient in expected.items():
        assert (actual[name] - gradient).norm() < 0.12 * gradient.norm(), name
    whole, whole_expected = (
        torch.cat([each.flatten() for each in named.values()]) for named in (actual, expected)
    )
    assert (whole - whole_expected).norm() < 0.05 * whole_expected.norm()


def test_the_gradient_of_a_bfloat16_head_is_summed_in_float32() -> None:
    # 600 times 1. In bfloat16 a sum stalls at 256, because 257 is no bfloat16 number.
    head_VH = torch.nn.Parameter(torch.zeros(2, 1, dtype=torch.bfloat16))
    by_product, by_rows = HeadGradient(head_VH), HeadGradient(head_VH)
    one = torch.ones(1, 1, dtype=torch.bfloat16)
    second_row = torch.tensor([[0.0, 1.0]], dtype=torch.bfloat16)
    stalling = torch.zeros((), dtype=torch.bfloat16)
    for _ in range(600):
        by_product.add_product(second_row, one)
        by_rows.add_rows(torch.tensor([1]), one)
        stalling += 1
    by_product.fold()
    assert head_VH.grad.tolist() == [[0.0], [600.0]]
    by_rows.fold()
    assert head_VH.grad.tolist() == [[0.0], [1200.0]]
    assert head_VH.grad.dtype is torch.bfloat16
    assert stalling.item() == 256.0


def test_log_probs_of_bfloat16_logits_are_float32() -> None:
    # 512 equal logits: log p = −ln 512 = −6.2383; the nearest bfloat16 number is −6.25.
    head_VH = torch.zeros(512, 4, dtype=torch.bfloat16)
    hidden_NH = torch.ones(3, 4, dtype=torch.bfloat16)
    log_probs_N = sampled_log_probs(hidden_NH, head_VH, torch.tensor([0, 7, 511]))
    assert log_probs_N.dtype is torch.float32
    assert log_probs_N.tolist() == pytest.approx([-6.238325] * 3, abs=1e-5)
