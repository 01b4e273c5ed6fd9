"""What vLLM is asked for: temperatures that it samples at as they are, and the room for keys and values."""

from typing import Any

import torch

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.engine_limits import VLLM_MAX_TEMPERATURE, VLLM_MIN_TEMPERATURE

CPU_BLOCK_TOKENS = 32  # its attention kernels for a CPU want a multiple of this
CPU_CACHE_BYTES = 2 * 2**30
# The rest is the optimiser's and the scores', which are not there yet when the engine starts.
GPU_CACHE_SHARE_OF_FREE = 0.5


def refuse_temperature(temperature: float) -> None:
    """Raises INVALID_SPEC for a temperature that vLLM would change or refuse.

    A spec that names vLLM has been refused at submission; this is for `auto`.
    """
    if not VLLM_MIN_TEMPERATURE <= temperature <= VLLM_MAX_TEMPERATURE:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"vLLM samples at temperatures from {VLLM_MIN_TEMPERATURE:g} to {VLLM_MAX_TEMPERATURE:g}, "
            f"but {temperature:g} is asked for. Set compute.engine to 'transformers', or another "
            "temperature.",
            [
                Violation(
                    "compute.engine", "vllm", f"'transformers' for temperature {temperature:g}"
                )
            ],
        )


def cache_bytes(
    config: Any,
    *,
    dtype: torch.dtype,
    device: torch.device,
    num_sequences: int,
    num_tokens: int,
) -> int:
    """Keys and values of all sequences at their longest, or as many as the device has room for, but of two.

    config: of the model. num_tokens: of the longest sequence.
    """
    head_width = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    elements_of_token = 2 * config.num_hidden_layers * config.num_key_value_heads * head_width
    # Blocks are whole, and one is vLLM's own.
    sequence_bytes = (num_tokens + 2 * CPU_BLOCK_TOKENS) * elements_of_token * dtype.itemsize
    room_bytes = CPU_CACHE_BYTES
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        room_bytes = int(GPU_CACHE_SHARE_OF_FREE * free_bytes)
    return max(2 * sequence_bytes, min(num_sequences * sequence_bytes, room_bytes))
