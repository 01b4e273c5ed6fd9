"""Compiled layers: traced as torch's compiler does, without the code that it would then write."""

import shutil

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from service.errors import DriftgateError, ErrorCode
from tests.worker.training.tiny_models import CPU, EOS, PAD, tiny_qwen3
from worker.rollouts.engine import RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.compiling import compile_layers
from worker.training.head import hidden_states
from worker.training.models import checkpoint_layers
from worker.training.packing import ATTENTION_NAME

# As a row of three sequences, and of two others.
PACKS = ((4, 3, 2), (5, 6))


def gradient(model: torch.nn.Module, lengths: tuple[int, ...]) -> torch.Tensor:
    num_tokens = sum(lengths)
    input_ids_BS = torch.arange(2, 2 + num_tokens)[None]
    hidden_NH = hidden_states(model, input_ids_BS, torch.arange(num_tokens), packed_lengths=lengths)
    model.zero_grad()
    hidden_NH.square().sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_compiled_layers_give_the_same_gradients_and_one_graph_serves_all_lengths() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    plain, compiled = tiny_qwen3(1), tiny_qwen3(1)
    compile_layers(compiled, backend=counter)
    checkpoint_layers(compiled)
    for model in (plain, compiled):
        model.set_attn_implementation(ATTENTION_NAME)
    num_graphs = []
    for lengths in PACKS + PACKS:
        expected = gradient(plain, lengths)
        torch.testing.assert_close(gradient(compiled, lengths), expected, rtol=1e-9, atol=1e-12)
        num_graphs.append(counter.frame_count)
    assert num_graphs[0] > 0
    assert num_graphs[-1] == num_graphs[0]


def test_sampling_takes_the_layers_as_they_are() -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    model = tiny_qwen3(1)
    compile_layers(model, backend=counter)

    def sampled(model: torch.nn.Module) -> list:
        engine = TransformersEngine(
            model, eos_token_ids=frozenset({EOS}), pad_token_id=PAD, device=CPU, max_batch_size=8
        )
        params = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=6)
        return engine.generate([RolloutRequest((3, 4, 5), (1, 2))], sampling=params)

    assert sampled(model) == sampled(tiny_qwen3(1))
    assert counter.frame_count == 0


def test_a_worker_without_a_compiler_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(DriftgateError, match=r"lacks a C compiler \(cc, gcc, clang\)") as raised:
        compile_layers(tiny_qwen3(1))
    assert raised.value.code is ErrorCode.INVALID_SPEC
    assert raised.value.violations[0].field == "compute.compile"
