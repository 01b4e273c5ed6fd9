"""AdamW, its learning rate over the updates of a job, and its state as named tensors."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from service.jobs.spec import OptimizerSpec, ScheduleType

MASTER = "master"


def learning_rate_at(update: int, total_updates: int, spec: OptimizerSpec) -> float:
    """Learning rate of the update, counted from 1: a function of its number, so there is no state.

    It rises in equal steps to the full rate at the last update of the warm-up (or at the first update,
    where there is none), and falls from there to `final_fraction` of it at the last update.
    """
    schedule = spec.schedule
    if update <= schedule.warmup_updates:
        return spec.learning_rate * update / schedule.warmup_updates
    peak = max(1, schedule.warmup_updates)
    progress = (update - peak) / max(1, total_updates - peak)
    match schedule.type:
        case ScheduleType.CONSTANT:
            return spec.learning_rate
        case ScheduleType.LINEAR:
            height = 1 - progress
        case ScheduleType.COSINE:
            height = (1 + math.cos(math.pi * progress)) / 2
    fraction = schedule.final_fraction + (1 - schedule.final_fraction) * height
    return spec.learning_rate * fraction


class StudentOptimizer:
    """AdamW over the trainable parameters; norms and biases are not decayed.

    A parameter in half precision has a float32 master that AdamW moves, moments included: at the published
    rate most steps are smaller than the gap to the next bfloat16 number and would be rounded away.
    """

    def __init__(self, student: PreTrainedModel, *, spec: OptimizerSpec) -> None:
        self._parameters = {
            name: each for name, each in student.named_parameters() if each.requires_grad
        }
        self._masters = {name: _master_of(each) for name, each in self._parameters.items()}
        masters = list(self._masters.values())
        self._adamw = torch.optim.AdamW(
            [
                {"params": [p for p in masters if p.ndim >= 2], "weight_decay": spec.weight_decay},
                {"params": [p for p in masters if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=spec.learning_rate,
            betas=(spec.beta1, spec.beta2),
            eps=spec.epsilon,
        )

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Applies the gradients of the student's parameters and drops them."""
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        for parameter, master in self._halves():
            if parameter.grad is not None:
                master.grad = parameter.grad.to(master.dtype)
                parameter.grad = None
        self._adamw.step()
        for parameter, master in self._halves():
            parameter.copy_(master)
        self._adamw.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """The state under `parameter/moment` and `parameter/master` names: safetensors, no pickle."""
        moments = {
            f"{name}/{moment}": tensor
            for name, master in self._masters.items()
            for moment, tensor in self._adamw.state.get(master, {}).items()
        }
        masters = {
            f"{name}/{MASTER}": master.detach()
            for name, master in self._masters.items()
            if master is not self._parameters[name]
        }
        return moments | masters

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Puts back what `tensors` took out; the student's own weights are not touched."""
        for key, tensor in tensors.items():
            name, part = key.rsplit("/", 1)
            master = self._masters[name]
            if part == MASTER:
                master.copy_(tensor)
                continue
            # AdamW counts its steps on the CPU; the moments live with their parameter.
            device = torch.device("cpu") if part == "step" else master.device
            self._adamw.state[master][part] = tensor.to(device)

    def _halves(self) -> Iterator[tuple[nn.Parameter, nn.Parameter]]:
        """The parameters in half precision, each with its master."""
        for name, master in self._masters.items():
            if master is not self._parameters[name]:
                yield self._parameters[name], master


def _master_of(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter itself where it is float32 or wider."""
    if parameter.dtype in (torch.bfloat16, torch.float16):
        return nn.Parameter(parameter.detach().float())
    return parameter
