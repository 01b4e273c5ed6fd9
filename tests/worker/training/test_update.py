"""The gradient of an update, through real models: what the gate may change and what it may not."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from service.jobs.spec import JobSpec
from tests.worker.training.tiny_models import CPU, RULES, random_rollouts, tiny_qwen3
from worker.training.batching import Rollout, TokenRules, cut_into_micro_batches
from worker.training.head import head_weight, hidden_states, teacher_scores
from worker.training.update import (
    ScoredMicroBatch,
    UpdateOutcome,
    accumulate_gradient,
    log_probs_of,
)

OBJECTIVES = {
    "sampled_token": {"type": "sampled_token"},
    "recomputed": {"type": "sampled_token", "advantage": "recomputed"},
    "unclipped": {"type": "sampled_token", "clip_range": None, "dual_clip": None},
    "teacher_topk": {"type": "teacher_topk", "k": 5},
}
GATES = {
    "none": {"granularity": "none"},
    "published": {"block_size": 4},
    "strong newline spans": {"granularity": "newline_span", "min_span": 2, "strength": 8},
    "per sequence": {"block_size": 3, "normalization": "sequence", "aggregation": "mean_abs"},
    "not normalised": {"block_size": 3, "normalization": "none", "kernel": "reciprocal"},
    "adaptive": {"block_size": 3, "strength": {"adaptive": 0.5}},
    "shuffled": {"block_size": 3, "direction": "shuffled", "strength": 5},
    "shuffled per sequence": {
        "block_size": 3,
        "direction": "shuffled",
        "normalization": "sequence",
    },
}


def spec_of(objective: dict, gate: dict) -> JobSpec:
    return JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "objective": objective,
            "gate": gate,
        }
    )


def gradient(
    spec: JobSpec,
    *,
    rollouts: list[Rollout],
    drifted: bool = True,
    max_tokens: int = 10_000,
    rules: TokenRules = RULES,
    tied: bool = True,
) -> tuple[UpdateOutcome, Tensor]:
    """The outcome of one update and the student's whole gradient in one vector, float64."""
    student, teacher = tiny_qwen3(1, tied=tied), tiny_qwen3(2, tied=tied)
    behaviour = tiny_qwen3(1, tied=tied)
    if drifted:
        nudge(behaviour)
    minibatch = []
    for batch in cut_into_micro_batches(
        rollouts,
        gate=spec.gate,
        rules=rules,
        drift_map_block_size=4,
        max_tokens=max_tokens,
        device=CPU,
    ):
        with torch.no_grad():
            hidden_NH = hidden_states(teacher, batch.input_ids_BS, batch.positions_N)
        k = getattr(spec.objective, "k", None)
        scores = teacher_scores(hidden_NH, head_weight(teacher), batch.tokens_N, k=k)
        old_N = log_probs_of(behaviour, batch) if drifted else None
        minibatch.append(ScoredMicroBatch(batch, scores, old_N))
    outcome = accumulate_gradient(student, minibatch, spec=spec, shuffle_seed=3)
    return outcome, torch.cat([p.grad.flatten() for p in student.parameters()])


def nudge(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(0.02 * noise)


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_at_unchanged_weights_the_gate_changes_no_bit(objective: dict, gate: dict) -> None:
    rollouts = random_rollouts(4)
    gated, gated_gradient = gradient(spec_of(objective, gate), rollouts=rollouts, drifted=False)
    free, free_gradient = gradient(
        spec_of(objective, {"granularity": "none"}), rollouts=rollouts, drifted=False
    )
    assert gated.loss == free.loss
    assert torch.equal(gated_gradient, free_gradient)
    assert gated_gradient.abs().max() > 0


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_micro_batches_change_nothing(objective: dict, gate: dict) -> None:
    spec, rollouts = spec_of(objective, gate), random_rollouts(4)
    whole, whole_gradient = gradient(spec, rollouts=rollouts)
    cut, cut_gradient = gradient(spec, rollouts=rollouts, max_tokens=40)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-10)
    torch.testing.assert_close(cut_gradient, whole_gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_the_gate_multiplies_the_gradient_of_each_token_and_adds_none(objective: dict) -> None:
    # Every token its own response, so that ∂L = Σ g~ ∂l / N can be summed token by token.
    rollouts = random_rollouts(6, count=5, longest=1)
    spec = spec_of(objective, {"granularity": "token", "strength": 9})
    gated, gated_gradient = gradient(spec, rollouts=rollouts)
    single = [
        gradient(spec_of(objective, {"granularity": "none"}), rollouts=[rollout])[1]
        for rollout in sorted(rollouts, key=lambda rollout: -rollout.num_tokens)
    ]
    weighted = [w * g for w, g in zip(gated.gate.weights_N, single, strict=True)]
    # The models normalise in float32 whatever their dtype.
    expected = torch.stack(weighted).mean(dim=0)
    torch.testing.assert_close(gated_gradient, expected, rtol=1e-4, atol=1e-5)
    assert gated.gate.weights_N.std() > 0.01


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_the_size_of_the_head_chunks_changes_nothing(
    objective: dict, gate: dict, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, rollouts = spec_of(objective, gate), random_rollouts(4)
    whole, whole_gradient = gradient(spec, rollouts=rollouts, tied=tied)
    # Seven tokens: blocks of four fit whole, most responses do not and take the pass beforehand.
    monkeypatch.setattr("worker.training.head.MIN_CHUNK_TOKENS", 7)
    monkeypatch.setattr("worker.training.head.MAX_CHUNK_ELEMENTS", 29 * 7)
    cut, cut_gradient = gradient(spec, rollouts=rollouts, tied=tied)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-10)
    # The models' norms pass gradients in float32, and a gate known beforehand scales them earlier.
    torch.testing.assert_close(cut_gradient, whole_gradient, rtol=1e-3, atol=1e-6)


def test_the_head_gives_the_gradient_of_full_logits_under_autograd() -> None:
    spec, rollouts = spec_of(OBJECTIVES["unclipped"], {"granularity": "none"}), random_rollouts(4)
    student, behaviour, teacher = tiny_qwen3(1), tiny_qwen3(1), tiny_qwen3(2)
    nudge(behaviour)
    total, num_tokens = torch.zeros((), dtype=torch.float64), 0
    for rollout in rollouts:
        token_ids = torch.tensor([[*rollout.prompt_token_ids, *rollout.response.token_ids]])
        sampled = token_ids[:, len(rollout.prompt_token_ids) :]
        cur, old, target = (
            model(input_ids=token_ids)
            .logits[:, len(rollout.prompt_token_ids) - 1 : -1]
            .log_softmax(dim=-1)
            .gather(2, sampled[:, :, None])
            for model in (student, behaviour, teacher)
        )
        total = total - ((target - old).detach() * (cur - old.detach()).exp()).sum()
        num_tokens += sampled.numel()
    (total / num_tokens).backward()
    expected = torch.cat([p.grad.flatten() for p in student.parameters()])
    outcome, actual = gradient(spec, rollouts=rollouts)
    assert outcome.loss == pytest.approx((total / num_tokens).item(), rel=1e-5)
    # The models normalise in float32 whatever their dtype, padded batch or not.
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_masked_tokens_count_for_nothing() -> None:
    spec = spec_of(OBJECTIVES["sampled_token"], GATES["published"])
    rollouts = random_rollouts(4)
    masked = rollouts[0].response.token_ids[0]
    rules = dataclasses.replace(RULES, masked_token_ids=frozenset({masked}))
    outcome, _ = gradient(spec, rollouts=rollouts, rules=rules)
    num_masked = sum(rollout.response.token_ids.count(masked) for rollout in rollouts)
    num_tokens = sum(len(rollout.response.token_ids) for rollout in rollouts)
    assert len(outcome.drift_N) == num_tokens - num_masked
    assert outcome.gate.weights_N.mean().item() == pytest.approx(1.0)


def test_a_closed_hard_gate_leaves_no_gradient_and_says_so() -> None:
    spec = spec_of(OBJECTIVES["unclipped"], {"kernel": "hard", "threshold": 0.0, "block_size": 1})
    outcome, whole = gradient(spec, rollouts=random_rollouts(4))
    assert outcome.gate.num_scopes_closed == 1
    assert outcome.loss == 0.0
    assert whole.abs().max() == 0.0


def test_the_student_mass_inside_a_full_support_is_one() -> None:
    spec = spec_of({"type": "teacher_topk", "k": 29}, GATES["published"])
    outcome, _ = gradient(spec, rollouts=random_rollouts(4))
    assert outcome.support_mass == pytest.approx(1.0)


def test_without_a_gate_a_large_vocabulary_is_looked_at_on_some_tokens_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, rollouts = spec_of(OBJECTIVES["teacher_topk"], GATES["none"]), random_rollouts(4)
    every, every_gradient = gradient(spec, rollouts=rollouts)
    monkeypatch.setattr("worker.training.update.LARGE_VOCABULARY", 0)
    some, some_gradient = gradient(spec, rollouts=rollouts)
    assert torch.equal(some_gradient, every_gradient)
    assert some.num_tokens == every.num_tokens == len(every.drift_N) == len(some.gate.weights_N)
    torch.testing.assert_close(some.drift_N, every.drift_N[::16])
    assert torch.equal(some.block_ids_N, every.block_ids_N[::16])
    assert 0 < some.support_mass < 1


def test_with_a_gate_every_token_is_looked_at_whatever_the_vocabulary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.training.update.LARGE_VOCABULARY", 0)
    spec = spec_of(OBJECTIVES["teacher_topk"], GATES["published"])
    outcome, _ = gradient(spec, rollouts=random_rollouts(4))
    assert len(outcome.drift_N) == outcome.num_tokens


@pytest.mark.parametrize("setting", [{"strength": {"adaptive": 0.5}}, {"direction": "shuffled"}])
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_no_gate_needs_no_pass_of_its_own_whatever_else_the_spec_says(
    objective: dict, setting: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Seen on some tokens only, drift could not have made a gate of the whole minibatch.
    monkeypatch.setattr("worker.training.update.LARGE_VOCABULARY", 0)
    rollouts = random_rollouts(4)
    plain, plain_gradient = gradient(spec_of(objective, {"granularity": "none"}), rollouts=rollouts)
    spec = spec_of(objective, {"granularity": "none", **setting})
    outcome, outcome_gradient = gradient(spec, rollouts=rollouts)
    assert torch.equal(outcome_gradient, plain_gradient)
    assert outcome.loss == plain.loss
    assert math.isfinite(outcome.gate.strength)
