"""GGUF files written in the test from tiny real models, as llama.cpp's converter writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np
from transformers import PreTrainedModel

# Of transformers to that of GGUF, for a decoder layer.
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OUTER_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
# Byte-level spellings: a newline is Ċ. The last two only fill the embedding, as in Qwen's files.
SYMBOLS = ["<pad>", "<eos>", "<turn>", "Ċ", *"0123456789+=abcdefgh", "ab", "[PAD25]", "[PAD26]"]
NORMAL, CONTROL, UNUSED = 1, 3, 5
EOS, TURN = 1, 2
TEMPLATE = "{% for message in messages %}{{ message['content'] }}<turn>{% endfor %}"


def write_gguf(
    model: PreTrainedModel,
    path: Path,
    *,
    quantised: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    extra: Mapping[str, object] | None = None,
    extra_tensors: Mapping[str, np.ndarray] | None = None,
    left_out: Sequence[str] = (),
) -> Path:
    """The model's matrices in `quantised`, everything else in float32. extra: metadata by its whole key."""
    config = model.config
    family = config.model_type
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(SYMBOLS)
    writer.add_token_types([_token_type(symbol) for symbol in SYMBOLS])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(EOS)
    writer.add_eot_token_id(TURN)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    for key, value in (extra or {}).items():
        add = writer.add_string if isinstance(value, str) else writer.add_uint32
        add(key, value)
    for name, values in _tensors(model).items():
        if name not in left_out:
            _add(writer, name, values, quantised if values.ndim > 1 else None)
    for name, values in (extra_tensors or {}).items():
        _add(writer, name, values, None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _token_type(symbol: str) -> int:
    if symbol.startswith("[PAD"):
        return UNUSED
    return CONTROL if symbol.startswith("<") else NORMAL


def _tensors(model: PreTrainedModel) -> dict[str, np.ndarray]:
    named = {}
    for name, parameter in model.named_parameters():  # a tied head is not among them
        values = parameter.detach().float().numpy()
        if name in OUTER_NAMES:
            named[OUTER_NAMES[name]] = values
            continue
        _, _, layer, rest = name.split(".", 3)
        module, kind = rest.rsplit(".", 1)
        if model.config.model_type == "llama":
            values = _interleaved(values, module, model)
        named[f"blk.{layer}.{LAYER_NAMES[module]}.{kind}"] = values
    return named


def _interleaved(values: np.ndarray, module: str, model: PreTrainedModel) -> np.ndarray:
    """Rows of Llama's queries and keys in the order of the original checkpoints: pairs side by side."""
    heads = {
        "self_attn.q_proj": model.config.num_attention_heads,
        "self_attn.k_proj": model.config.num_key_value_heads,
    }.get(module)
    if heads is None:
        return values
    by_halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return by_halves.swapaxes(1, 2).reshape(values.shape)


def _add(
    writer: gguf.GGUFWriter,
    name: str,
    values: np.ndarray,
    quantised: gguf.GGMLQuantizationType | None,
) -> None:
    if quantised is None or quantised is gguf.GGMLQuantizationType.F32:
        writer.add_tensor(name, np.ascontiguousarray(values, dtype=np.float32))
        return
    packed = gguf.quants.quantize(np.ascontiguousarray(values, dtype=np.float32), quantised)
    writer.add_tensor(name, packed, raw_dtype=quantised)
