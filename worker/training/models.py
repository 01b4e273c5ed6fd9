"""Models, tokenizers, and where and how they compute. Weights come as safetensors, code never."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec import ComputeSpec
from worker.training.fused_norms import fuse_norms


def load_causal_lm(folder: Path, *, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """The model in evaluation mode: no dropout, so that a forward pass is a function of weights.

    On a GPU its norms are fused; on a CPU they stay as they are, whose bits are promised.
    """
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
        attn_implementation="sdpa",
    )
    _refuse_unfaithful_head(model, folder)
    if device.type == "cuda":
        fuse_norms(model)
    return model.to(device).eval()


def checkpoint_layers(model: PreTrainedModel) -> None:
    """Makes every layer keep only its inputs where a gradient is wanted, and compute itself again.

    The model stays in evaluation mode. That of transformers itself works in training mode only, which
    would switch on dropout and take the cache away from generation.
    """
    layers = [each for each in model.modules() if isinstance(each, GradientCheckpointingLayer)]
    if not layers:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"compute.gradient_checkpointing is true, but {type(model).__name__} has no layer that "
            "can be computed again. Set it to false.",
            [Violation("compute.gradient_checkpointing", "true", "false for this student")],
        )
    for layer in layers:
        layer.forward = _computed_again(layer.forward)


def _computed_again(forward: Callable[..., Any]) -> Callable[..., Any]:
    def checkpointed(*inputs: Any, **settings: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs, **settings)
        # Without dropout there is no random state to preserve.
        return checkpoint(
            forward, *inputs, use_reentrant=False, preserve_rng_state=False, **settings
        )

    return checkpointed


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder."""
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def eos_token_ids(model: PreTrainedModel, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a response: those of the generation config, and the tokenizer's own."""
    configured = model.generation_config.eos_token_id
    configured = configured if isinstance(configured, list) else [configured]
    ids = {token for token in [*configured, tokenizer.eos_token_id] if token is not None}
    if not ids:
        raise DriftgateError(
            ErrorCode.MODEL_INVALID,
            "The student has no end-of-sequence token, so its responses would never end. "
            "Set eos_token_id in its generation_config.json.",
            [Violation("student.model", "no eos_token_id", "a model with an EOS token")],
        )
    return frozenset(ids)


def pad_token_id(tokenizer: Any) -> int:
    """A token for padding; what it is changes nothing, since padding is never read."""
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0)


def compute_device(compute: ComputeSpec) -> torch.device:
    """The device of the spec; `auto` takes the GPU where there is one."""
    has_gpu = torch.cuda.is_available()
    if compute.device == "cuda" and not has_gpu:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            "compute.device is 'cuda', but this worker has no GPU. Use 'auto' or 'cpu'.",
            [Violation("compute.device", "cuda", "'auto' or 'cpu' on this worker")],
        )
    return torch.device("cuda" if has_gpu and compute.device != "cpu" else "cpu")


def compute_dtype(compute: ComputeSpec, device: torch.device) -> torch.dtype:
    """The dtype of the spec; `auto` is bfloat16 on GPUs that compute it, float32 elsewhere."""
    if compute.dtype == "float32":
        return torch.float32
    if compute.dtype == "bfloat16":
        return torch.bfloat16
    native = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def compute_choice(compute: ComputeSpec, device: torch.device, dtype: torch.dtype) -> str:
    """One sentence for the job's reader: where and in what it computes, and why."""
    if compute.dtype != "auto":
        reason = "as compute.dtype asks"
    elif device.type == "cpu":
        reason = (
            "auto takes bfloat16 on GPUs only"
            if cpu_has_bfloat16()
            else "this CPU has no native bfloat16"
        )
    elif dtype is torch.bfloat16:
        reason = "this GPU has native bfloat16"
    else:
        reason = "this GPU has no native bfloat16"
    return f"Computing in {str(dtype).removeprefix('torch.')} on {device.type}: {reason}."


def cpu_has_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16 numbers."""
    capabilities = torch.cpu.get_capabilities()
    return any(present for name, present in capabilities.items() if name.endswith("bf16"))


def _refuse_unfaithful_head(model: PreTrainedModel, folder: Path) -> None:
    """The loss head computes logits as hidden states times the output embedding, nothing else."""
    config = model.config.get_text_config()
    for setting in ("final_logit_softcapping", "logit_scale", "logits_scaling"):
        if getattr(config, setting, None) not in (None, 1, 1.0):
            raise DriftgateError(
                ErrorCode.MODEL_INVALID,
                f"{folder.name} scales its logits ({setting} is {getattr(config, setting)}), which "
                f"the loss head does not. Use a model without it (Qwen, Llama, Mistral).",
                [Violation(setting, str(getattr(config, setting)), "unset")],
            )
    if getattr(model.get_output_embeddings(), "bias", None) is not None:
        raise DriftgateError(
            ErrorCode.MODEL_INVALID,
            f"{folder.name} has a bias in its output embedding, which the loss head does not add. "
            "Use a model without one (Qwen, Llama, Mistral).",
            [Violation("lm_head.bias", "present", "absent")],
        )
