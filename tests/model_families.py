"""Tiny real models of each family, of random weights, made in the test from a seed."""

from collections.abc import Callable

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN_ROPE = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
}
SIZES: dict[str, object] = {
    "vocab_size": 27,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "initializer_range": 0.5,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
}


def tiny_model(
    model_class: type[PreTrainedModel],
    config_class: Callable[..., object],
    *,
    seed: int = 3,
    **changes: object,
) -> PreTrainedModel:
    """In float64, biases and norms random too: a fresh model has zeros and ones there."""
    torch.manual_seed(seed)
    model = model_class(config_class(**SIZES | changes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter.copy_(0.5 + torch.rand_like(parameter))
    return model.double().eval()


def llama(**changes: object) -> PreTrainedModel:
    return tiny_model(LlamaForCausalLM, LlamaConfig, **changes)


def qwen2(**changes: object) -> PreTrainedModel:
    return tiny_model(Qwen2ForCausalLM, Qwen2Config, **changes)


def qwen3(**changes: object) -> PreTrainedModel:
    return tiny_model(Qwen3ForCausalLM, Qwen3Config, **changes)


# By what is special about each.
FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": llama,
    "llama, tied": lambda: llama(tie_word_embeddings=True),
    "llama, llama3 rope": lambda: llama(rope_parameters=LLAMA3_ROPE),
    "llama, yarn rope": lambda: llama(rope_parameters=YARN_ROPE),
    "llama, biases": lambda: llama(attention_bias=True, mlp_bias=True),
    "llama, one key head": lambda: llama(num_key_value_heads=1),
    "qwen2": qwen2,
    "qwen2, tied": lambda: qwen2(tie_word_embeddings=True),
    "qwen2, yarn rope": lambda: qwen2(rope_parameters=YARN_ROPE),
    "qwen3": lambda: qwen3(tie_word_embeddings=False),
    "qwen3, tied": lambda: qwen3(tie_word_embeddings=True),
    "qwen3, wide heads": lambda: qwen3(head_dim=16),
}
