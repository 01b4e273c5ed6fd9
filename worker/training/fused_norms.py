"""Norms by torch's fused kernel: one pass over the hidden states where transformers makes seven."""

from types import MethodType
from typing import Any

from torch import Tensor
from torch.nn.functional import rms_norm
from transformers import PreTrainedModel

from worker.training.packing import PACKED_MODEL_TYPES


def fuse_norms(model: PreTrainedModel) -> None:
    """For families whose norms are known to be plain: x / √(mean x² + ε) times a weight.

    In half precision it rounds once, at the end, and not before the weight too.
    """
    if model.config.get_text_config().model_type not in PACKED_MODEL_TYPES:
        return
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = MethodType(_normalised, module)


def _normalised(norm: Any, hidden: Tensor) -> Tensor:
    return rms_norm(hidden, hidden.shape[-1:], norm.weight, norm.variance_epsilon)
