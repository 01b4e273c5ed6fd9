"""Which tensors a GGUF file has to hold, in which encodings: what else it holds would silently be left out."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.preflight.architecture import Architecture
from service.preflight.gguf_header import GgufError, GgufHeader, GgufTensor

MAX_TENSORS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a tensor's elements are packed: so many elements in a block of so many bytes."""

    name: str
    block_elements: int
    block_bytes: int


# By the number in the file: the encodings that the worker turns into float32.
ENCODINGS: Mapping[int, Encoding] = {
    0: Encoding("F32", 1, 4),
    1: Encoding("F16", 1, 2),
    2: Encoding("Q4_0", 32, 18),
    3: Encoding("Q4_1", 32, 20),
    6: Encoding("Q5_0", 32, 22),
    7: Encoding("Q5_1", 32, 24),
    8: Encoding("Q8_0", 32, 34),
    10: Encoding("Q2_K", 256, 84),
    11: Encoding("Q3_K", 256, 110),
    12: Encoding("Q4_K", 256, 144),
    13: Encoding("Q5_K", 256, 176),
    14: Encoding("Q6_K", 256, 210),
    20: Encoding("IQ4_NL", 32, 18),
    23: Encoding("IQ4_XS", 256, 136),
    30: Encoding("BF16", 1, 2),
}


def check_tensors(header: GgufHeader, architecture: Architecture) -> None:
    """Raises GgufError unless the file has exactly the tensors of the architecture, whole and decodable."""
    expected = dict(expected_shapes(architecture))
    given = {tensor.name: tensor for tensor in header.tensors}
    if len(given) < len(header.tensors):
        raise GgufError("it names a tensor twice")
    if missing := sorted(expected.keys() - given.keys()):
        raise GgufError(f"it has no {_named(missing)}")
    if unknown := sorted(given.keys() - expected.keys()):
        raise GgufError(
            f"it has {_named(unknown)}, which its architecture does not: scaled rotary embeddings "
            "(rope_freqs), biases and experts are read from safetensors only"
        )
    for name, tensor in given.items():
        if tensor.shape != expected[name]:
            raise GgufError(f"{name} is {tensor.shape}, and its metadata says {expected[name]}")
    _check_encodings(header)
    for tensor in header.tensors:
        _check_whole(tensor, header)


def expected_shapes(architecture: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each tensor, rows first, as GGUF files call them."""
    hidden, width = architecture.hidden_size, architecture.intermediate_size
    queries, keys = architecture.query_size, architecture.key_size
    yield "token_embd.weight", (architecture.vocab_size, hidden)
    yield "output_norm.weight", (hidden,)
    if not architecture.has_tied_head:
        yield "output.weight", (architecture.vocab_size, hidden)
    for layer in range(architecture.num_layers):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", (hidden,)
        yield f"{block}.ffn_norm.weight", (hidden,)
        yield f"{block}.attn_q.weight", (queries, hidden)
        yield f"{block}.attn_k.weight", (keys, hidden)
        yield f"{block}.attn_v.weight", (keys, hidden)
        yield f"{block}.attn_output.weight", (hidden, queries)
        yield f"{block}.ffn_gate.weight", (width, hidden)
        yield f"{block}.ffn_up.weight", (width, hidden)
        yield f"{block}.ffn_down.weight", (hidden, width)
        if architecture.has_qkv_bias:
            yield f"{block}.attn_q.bias", (queries,)
            yield f"{block}.attn_k.bias", (keys,)
            yield f"{block}.attn_v.bias", (keys,)
        if architecture.has_query_key_norm:
            yield f"{block}.attn_q_norm.weight", (architecture.head_dim,)
            yield f"{block}.attn_k_norm.weight", (architecture.head_dim,)


def _check_encodings(header: GgufHeader) -> None:
    unknown = sorted({tensor.type_number for tensor in header.tensors} - ENCODINGS.keys())
    if not unknown:
        return
    examples = [
        f"{tensor.name} (ggml type {tensor.type_number})"
        for tensor in header.tensors
        if tensor.type_number not in ENCODINGS
    ]
    raise GgufError(
        f"the quantisation of {_named(examples)} is not read. Those that are: "
        f"{', '.join(encoding.name for encoding in ENCODINGS.values())}"
    )


def _check_whole(tensor: GgufTensor, header: GgufHeader) -> None:
    encoding = ENCODINGS[tensor.type_number]
    if tensor.shape[-1] % encoding.block_elements:
        raise GgufError(
            f"{tensor.name} has rows of {tensor.shape[-1]}, no multiple of the "
            f"{encoding.block_elements} that {encoding.name} packs together"
        )
    num_bytes = math.prod(tensor.shape) // encoding.block_elements * encoding.block_bytes
    end = header.data_offset + tensor.offset + num_bytes
    if end > header.size_bytes:
        raise GgufError(
            f"{tensor.name} ends at byte {end:,} and the file at {header.size_bytes:,}; an "
            "interrupted download looks like this"
        )


def _named(names: list[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:MAX_TENSORS_NAMED])
    rest = len(names) - MAX_TENSORS_NAMED
    return f"{shown} and {rest:,} more" if rest > 0 else shown
