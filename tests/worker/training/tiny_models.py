"""Tiny real Qwen3 models and rollouts, made in the test from a seed."""

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import Rollout, TokenRules

VOCABULARY_SIZE = 29
NEWLINE, EOS, PAD = 5, 1, 0
RULES = TokenRules(
    pad_token_id=PAD, masked_token_ids=frozenset(), newline_token_ids=frozenset({NEWLINE})
)
CPU = torch.device("cpu")


def tiny_qwen3(
    seed: int, *, tied: bool = True, dtype: torch.dtype = torch.float64
) -> Qwen3ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        eos_token_id=EOS,
        pad_token_id=PAD,
        bos_token_id=None,
        initializer_range=0.5,
    )
    return Qwen3ForCausalLM(config).to(dtype).eval()


def random_rollouts(seed: int, *, count: int = 6, longest: int = 17) -> list[Rollout]:
    generator = torch.Generator().manual_seed(seed)

    def tokens(number: int) -> tuple[int, ...]:
        return tuple(torch.randint(2, VOCABULARY_SIZE, (number,), generator=generator).tolist())

    lengths = torch.randint(1, longest + 1, (count, 2), generator=generator).tolist()
    return [
        Rollout(tokens(prompt), Response(tokens(response), FinishReason.LENGTH))
        for prompt, response in lengths
    ]
