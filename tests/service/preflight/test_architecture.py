"""Counts against the models that transformers builds of the same config."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from service.preflight.architecture import Architecture, UnknownArchitecture, read_architecture

# Every size differs from every other, so that no two can be taken for each other.
SIZES = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
CONFIGS = [
    Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True),
    Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=False),
    Qwen3Config(**SIZES, head_dim=16, attention_bias=True),
    Qwen2Config(**SIZES, tie_word_embeddings=True),
    Qwen2Config(**SIZES),
    LlamaConfig(**SIZES, tie_word_embeddings=True),
    LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    LlamaConfig(**SIZES, head_dim=12),
    LlamaConfig(**SIZES | {"num_key_value_heads": None}),
    MistralConfig(**SIZES),
    MistralConfig(**SIZES, head_dim=12),
]


def built(config: PreTrainedConfig) -> torch.nn.Module:
    """The model without memory for its weights."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    return model


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_parameters_are_those_of_the_model_part_by_part(config):
    model = built(config)
    architecture = read_architecture(config.to_dict())
    assert isinstance(architecture, Architecture)
    counts = architecture.parameter_counts()

    assert counts.total == sum(parameter.numel() for parameter in model.parameters())
    assert counts.embedding == model.get_input_embeddings().weight.numel()
    assert counts.tied == (
        model.get_output_embeddings().weight is model.get_input_embeddings().weight
    )
    assert counts.head == (0 if counts.tied else model.get_output_embeddings().weight.numel())
    assert counts.embedding + counts.body + counts.head == counts.total


def test_the_published_size_of_qwen3_4b_is_counted():
    # https://huggingface.co/Qwen/Qwen3-4B: 4.0 billion parameters, 3.6 billion without the embedding.
    config = {
        "model_type": "qwen3",
        "vocab_size": 151_936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "tie_word_embeddings": True,
    }
    architecture = read_architecture(config)
    assert isinstance(architecture, Architecture)

    # Layer: 2·2560·4096 + 2·2560·1024 + 2·128 + 3·2560·9728 + 2·2560 = 100,930,816; 36 of them + 2560.
    counts = architecture.parameter_counts()
    assert (counts.body, counts.embedding) == (36 * 100_930_816 + 2560, 151_936 * 2560)
    assert counts.total == 4_022_468_096


@pytest.mark.parametrize("left_out", ["tie_word_embeddings", "head_dim", "attention_bias"])
def test_what_a_config_may_leave_out_is_what_transformers_makes_of_it(left_out):
    config = LlamaConfig(**SIZES).to_dict()
    del config[left_out]
    architecture = read_architecture(config)
    assert isinstance(architecture, Architecture)

    model = built(LlamaConfig.from_dict(config))

    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert architecture.parameter_counts().total == parameters


QWEN3 = Qwen3Config(**SIZES, head_dim=16).to_dict()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (QWEN3 | {"model_type": "qwen3_moe"}, "not for model_type 'qwen3_moe'"),
        (QWEN3 | {"model_type": ["qwen3"]}, "not for model_type ['qwen3']"),
        ({}, "not for model_type None"),
        (QWEN3 | {"head_dim": None}, "head_dim as None"),
        (QWEN3 | {"num_key_value_heads": None}, "num_key_value_heads as None"),
        (QWEN3 | {"hidden_size": "48"}, "hidden_size as 48"),
        (QWEN3 | {"num_hidden_layers": 0}, "num_hidden_layers as 0"),
        (QWEN3 | {"num_hidden_layers": True}, "num_hidden_layers as True"),
        (QWEN3 | {"intermediate_size": 10**30}, "intermediate_size as 1000"),
        (QWEN3 | {"quantization_config": {"quant_method": "awq"}}, "quantised"),
    ],
)
def test_what_is_not_known_is_unknown_with_the_reason(config, reason):
    architecture = read_architecture(config)

    assert isinstance(architecture, UnknownArchitecture)
    assert reason in architecture.reason
