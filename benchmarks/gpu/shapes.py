"""What is measured: Qwen3's published sizes with random weights, and a tiny one that runs anywhere."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from worker.training.fused_norms import fuse_norms

# Of the hub's config.json files of Qwen/Qwen3-0.6B-Base and Qwen/Qwen3-1.7B-Base.
OF_BOTH = {
    "vocab_size": 151_936,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A model and how much of each kind of work is given to it.

    pack_tokens: of one forward pass; num_packs of them are an update's minibatch, of sequences of
    sequence_tokens each, the first prompt_tokens of which are not trained on.
    """

    name: str
    config: dict[str, object]
    head_tokens: int
    pack_tokens: int
    num_packs: int
    sequence_tokens: int
    prompt_tokens: int
    rollout_prompts: int
    samples_per_prompt: int
    rollout_tokens: int

    @property
    def vocabulary_size(self) -> int:
        return int(str(self.config["vocab_size"]))

    @property
    def hidden_size(self) -> int:
        return int(str(self.config["hidden_size"]))

    def model(
        self,
        *,
        device: torch.device,
        dtype: torch.dtype,
        num_layers: int | None = None,
        seed: int = 0,
    ) -> PreTrainedModel:
        """Random weights, made where they are used; in evaluation mode, and as a job loads its models."""
        changes = {} if num_layers is None else {"num_hidden_layers": num_layers}
        config = Qwen3Config(**{**self.config, **changes}, bos_token_id=None, pad_token_id=0)
        torch.manual_seed(seed)
        with torch.device(device):
            model = Qwen3ForCausalLM._from_config(  # noqa: SLF001 the only way to a dtype
                config, dtype=dtype, attn_implementation="sdpa"
            )
        if device.type == "cuda":
            fuse_norms(model)
        return model.to(device).eval()


def _qwen3(name: str, **sizes: object) -> Shape:
    return Shape(
        name=name,
        config=OF_BOTH | sizes,
        head_tokens=8192,
        pack_tokens=8192,
        num_packs=2,
        sequence_tokens=1024,
        prompt_tokens=128,
        rollout_prompts=32,
        samples_per_prompt=4,
        rollout_tokens=256,
    )


SHAPES = {
    "tiny": Shape(
        name="tiny",
        config=OF_BOTH
        | {
            "vocab_size": 512,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
        },
        head_tokens=256,
        pack_tokens=128,
        num_packs=2,
        sequence_tokens=64,
        prompt_tokens=16,
        rollout_prompts=2,
        samples_per_prompt=2,
        rollout_tokens=8,
    ),
    "0.6b": _qwen3("0.6b", hidden_size=1024, intermediate_size=3072),
    "1.7b": _qwen3("1.7b", hidden_size=2048, intermediate_size=6144),
}
