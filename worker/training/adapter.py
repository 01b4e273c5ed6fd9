"""LoRA: low-rank adapters beside the student's frozen linear layers, W + alpha/rank · B A.

The adapters are put into the student itself, which keeps its class: rollouts, scoring and the loss head see
an ordinary model with the adapters active. peft is imported where it is used, because only jobs with LoRA
need it.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.seeds import derive_seed
from service.jobs.spec import LoraSpec

NAME = "default"
WEIGHTS_FILE = "adapter_model.safetensors"


def add_adapter(student: PreTrainedModel, *, spec: LoraSpec, seed: int) -> None:
    """Freezes the student and adds adapters, the only parameters that train; at first they add zero.

    Where the student is in half precision the adapters are float32. Raises INVALID_SPEC for a module
    that the student's decoder does not have.
    """
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415

    _refuse_unknown_modules(student, spec)
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        target_modules=list(spec.target_modules),
        task_type="CAUSAL_LM",
    )
    # New weights are drawn on the CPU, wherever the student is.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("adapter", seed))
        inject_adapter_in_model(config, student, adapter_name=NAME)
    for parameter in _adapter_parameters(student).values():
        parameter.data = parameter.data.to(torch.promote_types(parameter.dtype, torch.float32))
    student.eval()


def has_adapter(student: PreTrainedModel) -> bool:
    """Whether `add_adapter` was here."""
    return hasattr(student, "peft_config")


def merged_tensors(student: PreTrainedModel) -> dict[str, Tensor]:
    """The weights of a plain model that answers like the student with its adapters.

    Only what is adapted is copied, into the memory of the CPU; the student stays as it is.
    """
    from peft.tuners.lora import LoraLayer  # noqa: PLC0415

    adapter_names = _adapter_parameters(student).keys()
    tensors = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in student.state_dict().items()
        if name not in adapter_names
    }
    with torch.no_grad():
        for name, layer in student.named_modules():
            if isinstance(layer, LoraLayer):
                weight = layer.get_base_layer().weight
                merged = (weight + layer.get_delta_weight(NAME)).to(weight.dtype)
                tensors[f"{name}.weight"] = merged.cpu()
    return tensors


def save_adapter(student: PreTrainedModel, folder: Path) -> None:
    """The adapters alone, in peft's own format."""
    folder.mkdir()
    tensors = {
        _name_in_file(name): parameter.detach()
        for name, parameter in _adapter_parameters(student).items()
    }
    save_file(tensors, folder / WEIGHTS_FILE)
    student.peft_config[NAME].save_pretrained(folder)


def load_adapter(student: PreTrainedModel, folder: Path) -> None:
    """Puts back, to the last bit, what `save_adapter` wrote."""
    tensors = load_file(folder / WEIGHTS_FILE)
    with torch.no_grad():
        for name, parameter in _adapter_parameters(student).items():
            parameter.copy_(tensors[_name_in_file(name)])


def _adapter_parameters(student: PreTrainedModel) -> dict[str, nn.Parameter]:
    return {name: each for name, each in student.named_parameters() if each.requires_grad}


def _name_in_file(name: str) -> str:
    return f"base_model.model.{name.replace(f'.{NAME}.', '.')}"


def _refuse_unknown_modules(student: PreTrainedModel, spec: LoraSpec) -> None:
    """The loss head and the gradients of embeddings know no adapters, so they stay outside."""
    known = {
        name.rsplit(".", 1)[-1]
        for name, module in student.get_decoder().named_modules()
        if isinstance(module, nn.Linear)
    }
    unknown = [name for name in spec.target_modules if name not in known]
    if unknown:
        allowed = ", ".join(sorted(known))
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"lora.target_modules names {unknown[0]!r}, which is no linear layer of the decoder of "
            f"{type(student).__name__}. Allowed: {allowed}.",
            [Violation("lora.target_modules", unknown[0], allowed)],
        )
