"""One decode step of a Llama-like model by plain tensor functions, which a CUDA graph can record.

At rollout batches a small model's step is mostly module calls, so this does without them: the same weights,
the model's own rotary embedding, fused norms. Models that it does not know exactly (another
architecture, an adapter, a sliding window) take the model's own forward pass.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu
from transformers import PreTrainedModel

from worker.rollouts.key_value_cache import RoomyCache, RoomyLayer

# Legend: B sequences; H hidden; S cache positions; D head width; Q and G query and key/value heads; R query heads a
# key head; V vocabulary.

KNOWN_MODEL_TYPES = frozenset({"llama", "qwen2", "qwen3"})


class LeanDecoder:
    """Reads the model's weights anew at every step, so that training it needs no synchronisation."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._decoder: Any = model.get_decoder()
        self._head = model.get_output_embeddings()
        self._epsilon = model.config.rms_norm_eps

    @staticmethod
    def fits(model: PreTrainedModel) -> bool:
        """Whether a step here is the model's own."""
        config = model.config
        return (
            config.model_type in KNOWN_MODEL_TYPES
            and config.hidden_act == "silu"
            and not getattr(config, "use_sliding_window", False)
            and all(
                type(module) is nn.Linear
                for name, module in model.named_modules()
                if name.endswith("_proj")
            )
        )

    def logits(
        self,
        tokens_B: Tensor,
        positions_B: Tensor,
        cache: RoomyCache,
        mask_B11S: Tensor,
        *,
        column_1: Tensor | None = None,
    ) -> Tensor:
        """Next-token logits [B, V]; appends the tokens' keys and values to the cache.

        column_1: where they go, for a step that is recorded; the mask is then of all of the cache's room.
        """
        decoder = self._decoder
        hidden_BH = embedding(tokens_B, decoder.embed_tokens.weight)
        cos_B1D, sin_B1D = decoder.rotary_emb(hidden_BH, positions_B[:, None])
        for layer, kept in zip(decoder.layers, cache.layers, strict=True):
            assert isinstance(kept, RoomyLayer)
            normed_BH = self._norm(hidden_BH, layer.input_layernorm)
            hidden_BH = hidden_BH + self._attention(
                layer.self_attn,
                normed_BH,
                (cos_B1D, sin_B1D),
                kept=kept,
                mask_B11S=mask_B11S,
                column_1=column_1,
            )
            normed_BH = self._norm(hidden_BH, layer.post_attention_layernorm)
            hidden_BH = hidden_BH + _feed_forward(layer.mlp, normed_BH)
        return _project(self._head, self._norm(hidden_BH, decoder.norm))

    def _attention(
        self,
        attention: Any,
        normed_BH: Tensor,
        rotation: tuple[Tensor, Tensor],
        *,
        kept: RoomyLayer,
        mask_B11S: Tensor,
        column_1: Tensor | None,
    ) -> Tensor:
        head_width = attention.head_dim
        queries_BQD, keys_BGD, values_BGD = (
            _project(projection, normed_BH).unflatten(-1, (-1, head_width))
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        if hasattr(attention, "q_norm"):
            queries_BQD = self._norm(queries_BQD, attention.q_norm)
            keys_BGD = self._norm(keys_BGD, attention.k_norm)
        new = _rotated(keys_BGD, *rotation)[:, :, None], values_BGD[:, :, None]
        keys_BGSD, values_BGSD = kept.update(*new) if column_1 is None else kept.put(column_1, *new)
        # The query heads of one key head stand where positions do: no kernel has to know of groups, and each key is
        # read once for all of them.
        mixed_BGRD = scaled_dot_product_attention(
            _rotated(queries_BQD, *rotation).unflatten(1, (keys_BGD.shape[1], -1)),
            keys_BGSD,
            values_BGSD,
            attn_mask=mask_B11S,
            scale=attention.scaling,
        )
        return _project(attention.o_proj, mixed_BGRD.flatten(1))

    def _norm(self, values: Tensor, norm: Any) -> Tensor:
        return rms_norm(values, values.shape[-1:], norm.weight, self._epsilon)


def _feed_forward(mlp: Any, normed_BH: Tensor) -> Tensor:
    gated = silu(_project(mlp.gate_proj, normed_BH), inplace=True)
    return _project(mlp.down_proj, gated.mul_(_project(mlp.up_proj, normed_BH)))


def _project(projection: Any, values: Tensor) -> Tensor:
    return linear(values, projection.weight, projection.bias)


def _rotated(values: Tensor, cos_B1D: Tensor, sin_B1D: Tensor) -> Tensor:
    left, right = values.chunk(2, dim=-1)
    return values * cos_B1D + torch.cat((-right, left), dim=-1) * sin_B1D
