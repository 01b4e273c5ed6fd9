"""AdamW, its learning rate over the updates of a job, and its state as named tensors."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from service.jobs.spec import OptimizerSpec, ScheduleType
from worker.training.distributed_sharding import cut_like
from worker.training.offload import host_memory_like, on_device

MASTER, STEP = "master", "step"


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
    rate most steps are smaller than the gap to the next bfloat16 number and would be rounded away. Its gradient
    is summed over micro-batches in float32 too. Where it is fused, as on GPUs, a step is one pass over everything.
    Where it is offloaded, masters and moments are on the device during a step only.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        *,
        spec: OptimizerSpec,
        is_fused: bool | None = None,
        is_offloaded: bool = False,
    ) -> None:
        self._parameters = {
            name: each for name, each in student.named_parameters() if each.requires_grad
        }
        self._masters = {name: _master_of(each) for name, each in self._parameters.items()}
        for parameter, _ in self._halves():
            if not isinstance(
                parameter, DTensor
            ):  # what is sharded sums in the dtype of its reduction
                parameter.grad_dtype = torch.float32
        masters = list(self._masters.values())
        if is_fused is None:
            is_fused = all(each.device.type == "cuda" for each in masters)
        self._adamw = torch.optim.AdamW(
            [
                {"params": [p for p in masters if p.ndim >= 2], "weight_decay": spec.weight_decay},
                {"params": [p for p in masters if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=spec.learning_rate,
            betas=(spec.beta1, spec.beta2),
            eps=spec.epsilon,
            fused=is_fused or None,
        )
        self._is_offloaded = is_offloaded
        self._host: dict[str, Tensor] = {}
        self._put_away()

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Applies the gradients of the student's parameters and drops them."""
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._bring_back()
        for parameter, master in self._halves():
            if parameter.grad is not None:
                master.grad = parameter.grad.to(master.dtype)
                parameter.grad = None
        self._adamw.step()
        for parameter, master in self._halves():
            parameter.copy_(master)
        self._adamw.zero_grad()
        self._put_away()

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
        """Puts back what `tensors` took out, and nothing else stays; the student's own weights are not touched."""
        self._adamw.state.clear()
        for key, tensor in tensors.items():
            name, part = key.rsplit("/", 1)
            master = self._masters[name]
            if part == MASTER:
                master.copy_(cut_like(tensor, master))
                continue
            # AdamW counts its steps on the CPU, unless it is fused; the moments live with their parameter.
            is_on_cpu = part == STEP and not self._adamw.defaults["fused"]
            device = torch.device("cpu") if is_on_cpu else self._parameters[name].device
            whole = tensor.to(device)
            self._adamw.state[master][part] = whole if part == STEP else cut_like(whole, master)
        self._put_away()

    def _bring_back(self) -> None:
        if self._is_offloaded:
            for name, master in self._masters.items():
                device = self._parameters[name].device
                if master is not self._parameters[name]:
                    master.data = on_device(master.data, device=device)
                moments = self._adamw.state.get(master, {})
                moments |= {
                    part: on_device(moments[part], device=device)
                    for part in moments
                    if part != STEP
                }

    def _put_away(self) -> None:
        if self._is_offloaded:
            for name, master in self._masters.items():
                if master is not self._parameters[name]:
                    master.data = self._in_host_memory(name, MASTER, master.data)
                moments = self._adamw.state.get(master, {})
                moments |= {
                    part: self._in_host_memory(name, part, moments[part])
                    for part in moments
                    if part != STEP
                }

    def _in_host_memory(self, name: str, part: str, tensor: Tensor) -> Tensor:
        """In the same place every time."""
        key = f"{name}/{part}"
        if key not in self._host:
            self._host[key] = host_memory_like(tensor, device=self._parameters[name].device)
        return self._host[key].copy_(tensor)

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
