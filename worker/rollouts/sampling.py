"""Tokens from logits, one uniform number a token: a sample depends on its own seed, not on its batch."""

import torch
from torch import Tensor

from worker.rollouts.engine import SamplingParams

# Legend: B sequences, T tokens, V vocabulary, K tokens that are kept.


def uniforms(seeds: list[int], num_tokens: int) -> Tensor:
    """Uniform numbers in [0, 1), float32 [B, T] on the CPU; row b depends on seeds[b] alone."""
    generator = torch.Generator()
    return torch.stack(
        [torch.rand(num_tokens, generator=generator.manual_seed(seed)) for seed in seeds]
    )


def sample_tokens(logits_BV: Tensor, uniforms_B: Tensor, *, sampling: SamplingParams) -> Tensor:
    """Token ids [B] at the quantiles `uniforms_B` of softmax(logits / T), cut as `sampling` says."""
    probs_BV = torch.softmax(logits_BV.float() / sampling.temperature, dim=-1)
    if sampling.top_p == 1.0 and sampling.top_k is None:
        return _at_quantile(probs_BV, uniforms_B)
    sorted_BK, order_BK = _most_likely(probs_BV, sampling.top_k)
    # The nucleus is the fewest most likely tokens that together reach top_p of what is kept.
    mass_before_BK = sorted_BK.cumsum(dim=-1) - sorted_BK
    kept_mass_B1 = sorted_BK.sum(dim=-1, keepdim=True)
    nucleus_BK = sorted_BK.masked_fill(mass_before_BK >= sampling.top_p * kept_mass_B1, 0.0)
    rank_B = _at_quantile(nucleus_BK, uniforms_B)
    return order_BK.gather(1, rank_B[:, None])[:, 0]


def _most_likely(probs_BV: Tensor, top_k: int | None) -> tuple[Tensor, Tensor]:
    """Probabilities and ids [B, K], falling; all of the vocabulary without `top_k`."""
    if top_k is None or top_k >= probs_BV.shape[-1]:
        return probs_BV.sort(dim=-1, descending=True)
    return probs_BV.topk(top_k, dim=-1)


def _at_quantile(weights_BV: Tensor, uniforms_B: Tensor) -> Tensor:
    cumulative_BV = weights_BV.cumsum(dim=-1)
    total_B1 = cumulative_BV[:, -1:]
    index_B1 = torch.searchsorted(cumulative_BV, uniforms_B[:, None] * total_B1, right=True)
    # The product may round up to the total; the first index that reaches it has positive weight.
    last_B1 = (cumulative_BV < total_B1).sum(dim=-1, keepdim=True)
    return torch.minimum(index_B1, last_B1)[:, 0]
