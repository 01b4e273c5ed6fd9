"""Bytes of the tensors that the worker makes.

The rules are the worker's, stated here because the service holds no torch; tests hold both together.
"""

from collections.abc import Sequence

from service.jobs.evaluation_spec import EvaluationSpec
from service.preflight.architecture import Architecture

# Of worker.training.head.
MAX_CHUNK_ELEMENTS, MAX_CHUNK_ELEMENTS_ON_GPU = 2**24, 2**28
MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS = 128, 4096

FLOAT32_BYTES, INT64_BYTES = 4, 8


def chunk_tokens(vocab_size: int, *, max_elements: int = MAX_CHUNK_ELEMENTS) -> int:
    """Tokens of a chunk of the loss head, at most."""
    return min(max(max_elements // vocab_size, MIN_CHUNK_TOKENS), MAX_CHUNK_TOKENS)


def cache_bytes(
    architecture: Architecture, *, num_sequences: int, num_positions: int, element_bytes: int
) -> int:
    """Filled keys and values of all layers."""
    elements_of_position = 2 * architecture.num_layers * architecture.key_size
    return num_sequences * num_positions * elements_of_position * element_bytes


def evaluation_cache_bytes(
    architecture: Architecture,
    evaluation: EvaluationSpec,
    *,
    num_benchmark_problems: Sequence[int],
    max_prompt_tokens: int,
    batch_size: int,
    element_bytes: int,
) -> int:
    """Keys and values of one batch of an evaluation's plan, in which the benchmarks stand together."""
    num_samples = sum(
        num_problems * evaluation.samples_of(benchmark)
        for benchmark, num_problems in zip(
            evaluation.benchmarks, num_benchmark_problems, strict=True
        )
    )
    return cache_bytes(
        architecture,
        num_sequences=min(batch_size, num_samples),
        num_positions=max_prompt_tokens + evaluation.max_response_tokens,
        element_bytes=element_bytes,
    )


def activation_bytes(
    architecture: Architecture, *, num_tokens: int, element_bytes: int, is_checkpointed: bool
) -> int:
    """What one forward pass over the body leaves for the backward pass, its attention fused.

    is_checkpointed: each layer keeps its input only, and one layer at a time is computed anew.
    """
    hidden = architecture.hidden_size
    of_layer = _activation_bytes_of_layer(architecture, element_bytes=element_bytes)
    last_norm = _bytes_of_norm(hidden, element_bytes=element_bytes) + hidden * element_bytes
    of_layers = architecture.num_layers * of_layer
    if is_checkpointed:
        of_layers = architecture.num_layers * hidden * element_bytes + of_layer
    return num_tokens * (of_layers + last_norm)


def logits_chunk_bytes(
    vocab_size: int, *, num_tokens: int, element_bytes: int, max_elements: int
) -> int:
    """Float32 logits of a chunk; below float32, also as the product gave them, and their gradient."""
    of_logit = FLOAT32_BYTES
    if element_bytes < FLOAT32_BYTES:
        of_logit += 2 * element_bytes
    size = chunk_tokens(vocab_size, max_elements=max_elements)
    return min(size, num_tokens) * vocab_size * of_logit


def support_chunk_bytes(
    k: int, hidden_size: int, *, num_tokens: int, element_bytes: int, max_elements: int
) -> int:
    """Gathered head rows of a chunk, overwritten by their gradients; below float32, these once more."""
    num_elements = min(max(1, max_elements // (k * hidden_size)), num_tokens) * k * hidden_size
    of_element = element_bytes
    if element_bytes < FLOAT32_BYTES:
        of_element += FLOAT32_BYTES  # on their way into the float32 sum
    return num_elements * of_element


def targets_bytes(*, num_tokens: int, k: int | None) -> int:
    """Log-probs of teacher and old policy in float32; ids and log-probs of the teacher's support."""
    of_token = 2 * FLOAT32_BYTES
    if k is not None:
        of_token += k * (INT64_BYTES + FLOAT32_BYTES)
    return num_tokens * of_token


def _activation_bytes_of_layer(architecture: Architecture, *, element_bytes: int) -> int:
    """Of one token.

    A linear layer keeps its input; attention its queries, keys, values, output and a float32 log-sum-exp
    a head; the gated MLP four vectors of its width.
    """
    hidden, query, key = (
        architecture.hidden_size,
        architecture.query_size,
        architecture.key_size,
    )
    normed_input = _bytes_of_norm(hidden, element_bytes=element_bytes) + hidden * element_bytes
    attention = (2 * query + 2 * key) * element_bytes + architecture.num_heads * FLOAT32_BYTES
    if architecture.has_query_key_norm:
        num_vectors = architecture.num_heads + architecture.num_key_value_heads
        of_vector = _bytes_of_norm(architecture.head_dim, element_bytes=element_bytes)
        attention += num_vectors * of_vector
    mlp = 4 * architecture.intermediate_size * element_bytes
    return 2 * normed_input + attention + mlp


def _bytes_of_norm(size: int, *, element_bytes: int) -> int:
    """An RMS norm keeps its input and its reciprocal root in float32, and the normalised vector."""
    return size * (FLOAT32_BYTES + element_bytes) + FLOAT32_BYTES
