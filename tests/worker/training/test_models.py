"""How models compute: gradient checkpointing in evaluation mode, and the dtype that is chosen."""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec import ComputeSpec
from tests.worker.training.tiny_models import CPU, EOS, PAD, tiny_qwen3
from worker.rollouts.engine import Response, RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.head import hidden_states
from worker.training.models import (
    checkpoint_layers,
    compute_choice,
    compute_device,
    compute_dtype,
)

TOKEN_IDS_BS = torch.tensor([[3, 7, 4, 9, 2, 11, 8, 6], [5, 2, 6, 8, 4, 3, 0, 0]])
POSITIONS_N = torch.tensor([1, 2, 3, 4, 9, 10, 11])


def with_dropout_configured() -> PreTrainedModel:
    """Would compute something else at every pass, were it ever in training mode."""
    model = tiny_qwen3(1)
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    return model


def gradients(model: PreTrainedModel) -> tuple[dict[str, Tensor], int]:
    """Gradients by name, and the bytes that autograd kept for the backward pass."""
    kept = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_NH = hidden_states(model, TOKEN_IDS_BS, POSITIONS_N)
    hidden_NH.square().sum().backward()
    named = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return named, sum(kept)


def test_checkpointed_layers_keep_less_and_give_the_same_gradients_to_the_last_bit() -> None:
    plain, checkpointed = with_dropout_configured(), with_dropout_configured()
    checkpoint_layers(checkpointed)
    expected, bytes_kept = gradients(plain)
    actual, bytes_kept_checkpointed = gradients(checkpointed)
    assert not checkpointed.training
    assert bytes_kept_checkpointed < bytes_kept / 4
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[name], expected[name]) for name in expected)
    assert max(gradient.abs().max() for gradient in actual.values()) > 0


def sampled(model: PreTrainedModel) -> list[list[Response]]:
    engine = TransformersEngine(
        model, eos_token_ids=frozenset({EOS}), pad_token_id=PAD, device=CPU, max_batch_size=8
    )
    request = RolloutRequest(prompt_token_ids=(3, 4, 5), seeds=(1, 2, 3))
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=12)
    return engine.generate([request], sampling=sampling)


def test_checkpointed_layers_generate_with_their_cache_as_before() -> None:
    checkpointed = tiny_qwen3(1)
    checkpoint_layers(checkpointed)
    assert sampled(checkpointed) == sampled(tiny_qwen3(1))


def test_a_model_without_such_layers_is_refused() -> None:
    with pytest.raises(DriftgateError, match="gradient_checkpointing") as refusal:
        checkpoint_layers(torch.nn.Linear(2, 2))
    assert refusal.value.code is ErrorCode.INVALID_SPEC


@pytest.mark.parametrize(
    ("asked", "capabilities", "expected"),
    [
        ("auto", {}, "Computing in float32 on cpu: this CPU has no native bfloat16."),
        (
            "auto",
            {"avx512_bf16": False},
            "Computing in float32 on cpu: this CPU has no native bfloat16.",
        ),
        (
            "auto",
            {"avx512_bf16": True},
            "Computing in float32 on cpu: auto takes bfloat16 on GPUs only.",
        ),
        ("bfloat16", {}, "Computing in bfloat16 on cpu: as compute.dtype asks."),
        ("float32", {}, "Computing in float32 on cpu: as compute.dtype asks."),
    ],
)
def test_a_cpu_computes_in_float32_unless_told_otherwise_and_says_why(
    asked: str, capabilities: dict, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    compute = ComputeSpec(device="cpu", dtype=asked)
    device = compute_device(compute)
    assert compute_choice(compute, device, compute_dtype(compute, device)) == expected
