"""Sequences one behind the other in a single row: no padding is computed, and attention stays inside each.

On a GPU in half precision all sequences are one call of torch's flash kernel for sequences of many lengths; elsewhere each
is a call of its causal attention. Neither has a mask of [S, S], or works outside of the sequences. The lengths travel to it
through the decoder's keyword arguments, which only the families named here are known to hand on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec import ComputeSpec
from worker.training.products import HALVES

# Legend: S positions of the row; B sequences side by side; Q and G query and key/value heads; D head width.

ATTENTION_NAME = "sdpa_packed"
CAUSAL = (-1, 0)  # positions that are seen before and after one's own; -1 is all
PACKED_MODEL_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})


@dataclass(frozen=True, slots=True)
class PackedLengths:
    """Lengths of the sequences of a row, in order, and where each begins and the last ends: int32 [B + 1] on the device."""

    lengths: tuple[int, ...]
    bounds: Tensor


def choose_packing(
    compute: ComputeSpec, models: Sequence[PreTrainedModel], *, device: torch.device
) -> bool:
    """Whether rows are packed, as `compute.layout` says; the models then take packed rows too.

    `auto` packs on GPUs, where padding costs more than a call a sequence does. Raises INVALID_SPEC where packing is
    asked for and a model is of another family.
    """
    others = sorted({type(model).__name__ for model in models if not can_pack(model)})
    if compute.layout == "packed" and others:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"compute.layout is 'packed', but {others[0]} is not known to keep packed sequences apart. Known are the "
            f"families {', '.join(sorted(PACKED_MODEL_TYPES))} without sliding windows. Use 'auto' or 'padded'.",
            [Violation("compute.layout", "packed", f"auto or padded for {others[0]}")],
        )
    is_packed = compute.layout == "packed" or (
        compute.layout == "auto" and device.type == "cuda" and not others
    )
    if is_packed:
        for model in models:
            model.set_attn_implementation(ATTENTION_NAME)
            assert model.config._attn_implementation == ATTENTION_NAME, "it only warns"  # noqa: SLF001
    return is_packed


def can_pack(model: PreTrainedModel) -> bool:
    """Whether a packed pass through the decoder is known to be that of its sequences alone."""
    config = model.config.get_text_config()
    layer_types = getattr(config, "layer_types", None) or ()
    return (
        config.model_type in PACKED_MODEL_TYPES
        and all(each == "full_attention" for each in layer_types)
        and (config.model_type != "mistral" or config.sliding_window is None)
    )


def packed_arguments(lengths: Sequence[int], device: torch.device) -> dict[str, Any]:
    """Keyword arguments of a decoder beside `input_ids`, for one row of sequences."""
    return {
        "position_ids": torch.cat([torch.arange(length, device=device) for length in lengths])[
            None
        ],
        # A mask of four dimensions is handed on as it is; without one, transformers would build [S, S].
        "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),
        "packed": PackedLengths(
            tuple(lengths),
            torch.tensor([0, *accumulate(lengths)], dtype=torch.int32).to(device),
        ),
    }


def attention_with_packing(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed: PackedLengths | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention of transformers' interface: [1, S, Q, D] of a packed row; else transformers' own."""
    if packed is None:
        is_of_packed_row = attention_mask is not None and attention_mask.shape == (1, 1, 1, 1)
        assert not (is_of_packed_row and query.shape[2] > 1), "the lengths were lost on the way"
        attended, weights = sdpa_attention_forward(
            module, query, key, value, attention_mask, **settings
        )
        assert weights is None
        return attended, None
    assert not settings.get("dropout"), "models are in evaluation mode"
    return _packed_attention(query, key, value, packed, settings.get("scaling")), None


@torch.compiler.disable  # a graph would be made anew for every row of other lengths
def _packed_attention(
    query_1QSD: Tensor,
    key_1GSD: Tensor,
    value_1GSD: Tensor,
    packed: PackedLengths,
    scaling: float | None,
) -> Tensor:
    if _has_flash_kernel(query_1QSD.device) and query_1QSD.dtype in HALVES:
        query_SQD, key_SGD, value_SGD = (
            each[0].transpose(0, 1) for each in (query_1QSD, key_1GSD, value_1GSD)
        )
        bounds, longest = packed.bounds, max(packed.lengths)
        attended_SQD = varlen_attn(
            query_SQD,
            key_SGD,
            value_SGD,
            bounds,
            bounds,
            longest,
            longest,
            scale=scaling,
            window_size=CAUSAL,
            enable_gqa=query_SQD.shape[1] != key_SGD.shape[1],
        )
        assert isinstance(attended_SQD, Tensor)
        return attended_SQD[None]
    parts = zip(
        *(each.split(packed.lengths, dim=2) for each in (query_1QSD, key_1GSD, value_1GSD)),
        strict=True,
    )
    attended = [
        scaled_dot_product_attention(
            query,
            key,
            value,
            is_causal=True,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for query, key, value in parts
    ]
    return torch.cat(attended, dim=2).transpose(1, 2).contiguous()


@cache
def _has_flash_kernel(device: torch.device) -> bool:
    """Since the GPUs that compute bfloat16 (Ampere)."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


AttentionInterface.register(ATTENTION_NAME, attention_with_packing)
AttentionMaskInterface.register(ATTENTION_NAME, sdpa_mask)
