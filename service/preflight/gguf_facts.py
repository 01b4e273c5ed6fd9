"""What a GGUF file says of its model, in the terms of a model folder, without torch or transformers.

The families are those whose tensors and rotary embedding are rebuilt exactly: llama, qwen2 and qwen3.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from service.errors import DriftgateError
from service.preflight.architecture import (
    Architecture,
    UnknownArchitecture,
    read_architecture,
)
from service.preflight.gguf_header import (
    GGUF_SUFFIX,
    GgufError,
    GgufHeader,
    read_gguf_header,
)
from service.preflight.gguf_tensors import check_tensors
from service.preflight.json_files import invalid_model
from service.preflight.model_files import ModelFacts, read_model_facts
from service.preflight.tokenizer_files import TokenizerFacts

FAMILIES = ("llama", "qwen2", "qwen3")
BYTE_LEVEL, SENTENCEPIECE = "gpt2", "llama"
CONTROL, UNUSED = 3, 5  # of tokenizer.ggml.token_type
DEFAULT_ROPE_THETA = 10_000.0  # where a file leaves it out


def is_gguf(path: Path) -> bool:
    """Whether a resolved model is one GGUF file rather than a folder of safetensors."""
    return path.suffix == GGUF_SUFFIX


def read_facts(path: Path, *, reference: str, field: str) -> ModelFacts:
    """Facts of a model folder or of a GGUF file. Raises MODEL_INVALID for what cannot be used."""
    if not is_gguf(path):
        return read_model_facts(path, reference=reference, field=field)
    try:
        return gguf_facts(read_gguf_header(path))
    except GgufError as error:
        raise invalid_gguf(path, error, reference=reference, field=field) from error


def invalid_gguf(path: Path, error: GgufError, *, reference: str, field: str) -> DriftgateError:
    """MODEL_INVALID with the file's name and what is wrong with it."""
    return invalid_model(reference, f"of {path.name}: {error}", field=field)


def gguf_facts(header: GgufHeader) -> ModelFacts:
    """Raises GgufError for a file that is not read exactly."""
    config = gguf_config(header)
    architecture = read_architecture(config)
    if isinstance(architecture, UnknownArchitecture):
        raise GgufError(architecture.reason)
    if architecture.num_layers > len(header.tensors):  # before as many names are made up
        raise GgufError(
            f"it has {len(header.tensors):,} tensors, too few for {architecture.num_layers:,} layers"
        )
    check_tensors(header, architecture)
    _check_rotary_embedding(header, architecture)
    tokenizer = _tokenizer(header, vocab_size=architecture.vocab_size)
    return ModelFacts(
        vocab_size=architecture.vocab_size,
        tokenizer=tokenizer,
        max_positions=config["max_position_embeddings"],
        eos_token_ids=frozenset(config["eos_token_id"]),
        bos_token=_leading_token(header),
        chat_template=header.text("tokenizer.chat_template"),
        architecture=architecture,
    )


def gguf_config(header: GgufHeader) -> dict[str, Any]:
    """The file's metadata in the words of a config.json; eos_token_id is a list.

    Raises GgufError for a file of several parts and for a family that is not known here.
    """
    num_parts = header.whole_number("split.count")
    if num_parts is not None and num_parts > 1:
        raise GgufError(
            f"it is one of {num_parts} parts, and only whole files are read; merge them"
        )
    family = header.text("general.architecture")
    if family not in FAMILIES:
        raise GgufError(f"its architecture is {family!r}, and those read are {', '.join(FAMILIES)}")

    def number(name: str) -> int | None:
        return header.whole_number(f"{family}.{name}")

    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    hidden_size, num_heads = number("embedding_length"), number("attention.head_count")
    head_dim = number("attention.key_length")
    if head_dim is None and hidden_size is not None and num_heads:
        head_dim = hidden_size // num_heads
    epsilon = header.metadata.get(f"{family}.attention.layer_norm_rms_epsilon")
    theta = header.metadata.get(f"{family}.rope.freq_base", DEFAULT_ROPE_THETA)
    if not isinstance(epsilon, float) or not isinstance(theta, float):
        raise GgufError("its metadata lacks the norms' epsilon or the rotary base as a number")
    return {
        "model_type": family,
        "vocab_size": shapes.get("token_embd.weight", (None,))[0],
        "hidden_size": hidden_size,
        "intermediate_size": number("feed_forward_length"),
        "num_hidden_layers": number("block_count"),
        "num_attention_heads": num_heads,
        "num_key_value_heads": number("attention.head_count_kv") or num_heads,
        "head_dim": head_dim,
        "max_position_embeddings": number("context_length"),
        "rms_norm_eps": epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "tie_word_embeddings": "output.weight" not in shapes,
        "bos_token_id": header.whole_number("tokenizer.ggml.bos_token_id"),
        "eos_token_id": _end_tokens(header),
        "pad_token_id": header.whole_number("tokenizer.ggml.padding_token_id"),
    }


def _check_rotary_embedding(header: GgufHeader, architecture: Architecture) -> None:
    family = header.text("general.architecture")
    scaling = header.text(f"{family}.rope.scaling.type")
    if scaling not in (None, "none"):
        raise GgufError(
            f"its rotary embedding is scaled ({scaling!r}), which is read from safetensors only"
        )
    for name in ("rope.dimension_count", "attention.value_length"):
        size = header.whole_number(f"{family}.{name}")
        if size not in (None, architecture.head_dim):
            raise GgufError(
                f"{family}.{name} is {size}, and heads are {architecture.head_dim} wide"
            )


def _tokenizer(header: GgufHeader, *, vocab_size: int) -> TokenizerFacts:
    """Tokens without those that only fill the vocabulary up to the size of the embedding."""
    model = header.text("tokenizer.ggml.model")
    if model not in (BYTE_LEVEL, SENTENCEPIECE):
        raise GgufError(f"its tokenizer is {model!r}, and those read are 'gpt2' and 'llama'")
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    types = header.metadata.get("tokenizer.ggml.token_type")
    if not isinstance(tokens, tuple) or not tokens or not isinstance(types, tuple):
        raise GgufError("it has no vocabulary (tokenizer.ggml.tokens and token_type)")
    if len(tokens) != vocab_size or len(types) != vocab_size:
        raise GgufError(
            f"it has {len(tokens):,} tokens with {len(types):,} types, and an embedding of {vocab_size:,}"
        )
    token_ids: dict[str, int] = {}
    special_tokens: set[str] = set()
    for token_id, (token, token_type) in enumerate(zip(tokens, types, strict=True)):
        if not isinstance(token, str):
            raise GgufError("its vocabulary holds something other than texts")
        if token_type == UNUSED:
            continue
        token_ids[token] = token_id
        if token_type == CONTROL:
            special_tokens.add(token)
    if not token_ids:
        raise GgufError("its vocabulary is empty")
    return TokenizerFacts(MappingProxyType(token_ids), frozenset(special_tokens))


def _end_tokens(header: GgufHeader) -> list[int]:
    """The end of a text and, where the file names one, that of a turn."""
    named = (
        header.whole_number(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")
    )
    return sorted({token_id for token_id in named if token_id is not None})


def _leading_token(header: GgufHeader) -> str | None:
    flags: Mapping[str | None, bool] = {SENTENCEPIECE: True}
    default = flags.get(header.text("tokenizer.ggml.model"), False)
    if not header.metadata.get("tokenizer.ggml.add_bos_token", default):
        return None
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    token_id = header.whole_number("tokenizer.ggml.bos_token_id")
    if not isinstance(tokens, tuple) or token_id is None or not 0 <= token_id < len(tokens):
        return None
    return str(tokens[token_id])
