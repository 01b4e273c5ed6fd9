"""The full-vocabulary reverse-KL gradient, against autograd of the literal loss in float64."""

import pytest
import torch
from torch import Tensor

from service.jobs.loss_spec import GateSpec
from tests.worker.training.tiny_models import CPU, RULES, random_rollouts, tiny_qwen3
from worker.training import head
from worker.training.batching import MicroBatch, Rollout, cut_into_micro_batches
from worker.training.full_vocabulary import accumulate_reverse_kl_gradient
from worker.training.gradients import alignment, mean_gradient, take_gradient


def micro_batches(
    rollouts: list[Rollout], *, max_tokens: int = 10_000, is_packed: bool = False
) -> list[MicroBatch]:
    return cut_into_micro_batches(
        rollouts,
        gate=GateSpec(),
        rules=RULES,
        drift_map_block_size=64,
        max_tokens=max_tokens,
        device=CPU,
        is_packed=is_packed,
    )


def literal_loss(student, teacher, rollouts: list[Rollout]) -> Tensor:
    """Σ_t Σ_v pi (log pi − log q) / N, one response at a time, with nothing cut or spared."""
    total, num_tokens = torch.zeros((), dtype=torch.float64), 0
    for rollout in rollouts:
        ids = torch.tensor([[*rollout.prompt_token_ids, *rollout.response.token_ids]])
        predicting = slice(len(rollout.prompt_token_ids) - 1, ids.shape[1] - 1)
        log_pi = student(input_ids=ids).logits[0, predicting].log_softmax(-1)
        log_q = teacher(input_ids=ids).logits[0, predicting].log_softmax(-1).detach()
        total = total + (log_pi.exp() * (log_pi - log_q)).sum()
        num_tokens += len(rollout.response.token_ids)
    return total / num_tokens


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("max_tokens", [10_000, 40])
def test_it_is_the_derivative_of_the_literal_loss_however_the_tokens_are_cut(
    tied: bool, max_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Chunks of 18 // 6 = 3 tokens.
    monkeypatch.setattr(head, "MIN_CHUNK_TOKENS", 18)
    monkeypatch.setattr(head, "MAX_CHUNK_ELEMENTS", 1)
    student, teacher = tiny_qwen3(1, tied=tied), tiny_qwen3(2, tied=tied)
    rollouts = random_rollouts(3)
    loss = literal_loss(student, teacher, rollouts)
    loss.backward()
    expected = take_gradient(student)

    batches = micro_batches(rollouts, max_tokens=max_tokens)
    num_tokens = sum(batch.num_tokens for batch in batches)
    value = accumulate_reverse_kl_gradient(student, teacher, batches, num_tokens=num_tokens)

    actual = take_gradient(student)
    assert value == pytest.approx(loss.item(), rel=1e-12)
    assert actual.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-9, atol=1e-12)


def test_it_is_zero_where_student_and_teacher_are_the_same() -> None:
    student, batches = tiny_qwen3(1), micro_batches(random_rollouts(3))
    value = accumulate_reverse_kl_gradient(student, tiny_qwen3(1), batches, num_tokens=10)
    assert value == 0.0
    assert all(not gradient.any() for gradient in take_gradient(student).values())


def test_the_gradients_of_two_halves_make_that_of_the_whole() -> None:
    student, teacher, rollouts = tiny_qwen3(1), tiny_qwen3(2), random_rollouts(3)

    def gradient(part: list[Rollout]) -> tuple[int, dict[str, Tensor]]:
        batches = micro_batches(part)
        num_tokens = sum(batch.num_tokens for batch in batches)
        accumulate_reverse_kl_gradient(student, teacher, batches, num_tokens=num_tokens)
        return num_tokens, take_gradient(student)

    (num_left, left), (num_right, right) = gradient(rollouts[0::2]), gradient(rollouts[1::2])
    _, whole = gradient(rollouts)
    assert alignment(left, right).cosine < 0.99
    halves = mean_gradient(left, right, num_left=num_left, num_right=num_right)
    aligned = alignment(halves, whole)
    assert aligned.cosine == pytest.approx(1.0, abs=1e-8)
    assert aligned.norm_ratio == pytest.approx(1.0, rel=1e-8)  # norms are computed in float32
