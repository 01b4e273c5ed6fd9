"""Which rollout engine a job gets."""

from importlib.util import find_spec
from typing import Literal

import torch

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec import ComputeSpec

EngineName = Literal["transformers", "vllm"]


def choose_engine(compute: ComputeSpec, device: torch.device) -> EngineName:
    """The engine of the spec; `auto` takes vLLM where it is installed and the device is a GPU.

    Raises INVALID_SPEC where vLLM is asked for and not installed.
    """
    is_installed = find_spec("vllm") is not None
    if compute.engine == "vllm" and not is_installed:
        lock_file = "vllm-cuda.txt" if device.type == "cuda" else "vllm-cpu.txt"
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            "compute.engine is 'vllm', but this worker's environment has no vLLM. Install "
            f"requirements/{lock_file} in an environment of its own and start the worker from there "
            "(docs/engines.md), or use 'auto' or 'transformers'.",
            [Violation("compute.engine", "vllm", "'auto' or 'transformers' on this worker")],
        )
    if compute.engine == "auto":
        return "vllm" if is_installed and device.type == "cuda" else "transformers"
    return compute.engine
