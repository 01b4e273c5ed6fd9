"""The decoder's layers compiled: their norms, activations and rotations become few passes over memory.

Attention stays the library's kernel. Sampling keeps the layers as they are: its cache grows with every token, which
would be another graph each time.
"""

import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._triton import has_triton
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from service.errors import DriftgateError, ErrorCode, Violation

C_COMPILERS = ("cc", "gcc", "clang")


def compile_layers(model: PreTrainedModel, *, backend: str = "inductor") -> None:
    """Before layers are checkpointed. Raises INVALID_SPEC where this worker lacks what compiling needs."""
    if backend == "inductor":
        _refuse_without_compiler(model.device)
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.forward = _compiled_but_for_sampling(layer.forward, backend)


def _compiled_but_for_sampling(forward: Callable[..., Any], backend: str) -> Callable[..., Any]:
    # One graph for all lengths: micro-batches have as many as there are.
    compiled = torch.compile(forward, dynamic=True, backend=backend)

    def chosen(*inputs: Any, **settings: Any) -> Any:
        is_sampling = settings.get("past_key_values") is not None
        return (forward if is_sampling else compiled)(*inputs, **settings)

    return chosen


def _refuse_without_compiler(device: torch.device) -> None:
    lacking = []
    if not any(map(shutil.which, C_COMPILERS)):
        lacking.append(f"a C compiler ({', '.join(C_COMPILERS)})")
    if device.type == "cuda" and not has_triton():
        lacking.append("Triton")
    if lacking:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"compute.compile is true, but this worker lacks {' and '.join(lacking)}, which torch.compile needs. "
            "Install it on the worker, or set compute.compile to false.",
            [Violation("compute.compile", "true", "false on this worker")],
        )
