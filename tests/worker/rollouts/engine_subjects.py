"""The engines that the contract is tested on, each with a small Qwen3 of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from worker.rollouts.engine import RolloutEngine
from worker.rollouts.transformers_engine import TransformersEngine

CPU = torch.device("cpu")
VOCABULARY_SIZE = 64
PAD, EOS = 0, 1
MAX_SEQUENCE_TOKENS = 160

ENGINES = [
    "transformers",
    pytest.param(
        "vllm",
        marks=pytest.mark.skipif(
            find_spec("vllm") is None, reason="vLLM is not installed; `make test-vllm` installs it"
        ),
    ),
]


def small_qwen3(seed: int, *, tied: bool = True) -> Qwen3ForCausalLM:
    """As small as vLLM's kernels for a CPU allow; its heads are 32 wide."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=MAX_SEQUENCE_TOKENS,
        tie_word_embeddings=tied,
        eos_token_id=EOS,
        pad_token_id=PAD,
        bos_token_id=None,
        initializer_range=0.15,
    )
    return Qwen3ForCausalLM(config).eval()


@dataclass
class Subject:
    """An engine and the model that it samples from; `lent`, where set, is handed to vLLM in its place."""

    engine: RolloutEngine
    model: PreTrainedModel
    lent: Mapping[str, Tensor] | None = None

    def take_weights_of(self, other: PreTrainedModel) -> None:
        self.model.load_state_dict(other.state_dict())
        self.engine.weights_changed()


def make_subject(name: str, *, tied: bool = True, model: PreTrainedModel | None = None) -> Subject:
    model = model or small_qwen3(1, tied=tied)
    if name == "transformers":
        engine = TransformersEngine(
            model,
            eos_token_ids=frozenset({EOS}),
            pad_token_id=PAD,
            device=CPU,
            max_batch_size=256,
        )
        return Subject(engine, model)
    from worker.rollouts.vllm_engine import VllmEngine  # noqa: PLC0415 where it is installed

    subject = Subject(engine=None, model=model)
    subject.engine = VllmEngine(
        model,
        plain_tensors=lambda: subject.lent or model.state_dict(),
        eos_token_ids=frozenset({EOS}),
        device=CPU,
        max_batch_size=256,
        max_sequence_tokens=model.config.max_position_embeddings,
    )
    return subject
