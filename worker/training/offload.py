"""What a phase does not use waits in the host's memory: the teacher between its scorings, AdamW between its steps.

Host memory is page-locked where there is a GPU, which is what makes a copy as fast as the bus.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

ABSENT = "weights_in_host_memory"


def send_away(model: PreTrainedModel, *, device: torch.device) -> None:
    """From here on the model's weights, which never change, are on `device` only where it is `present`."""
    kept = [
        (each, host_memory_like(each.detach(), device=device).copy_(each.detach()))
        for each in model.parameters()
    ]
    setattr(model, ABSENT, (device, kept))
    _point_at_host(kept)


@contextmanager
def present(model: nn.Module) -> Iterator[None]:
    """The model's weights are on its device inside; nothing happens to a model that was not sent away."""
    absent = getattr(model, ABSENT, None)
    if absent is None:
        yield
        return
    device, kept = absent
    try:
        for parameter, host in kept:
            parameter.data = on_device(host, device=device)
        yield
    finally:
        _point_at_host(kept)


def host_memory_like(tensor: Tensor, *, device: torch.device) -> Tensor:
    """Room for a tensor that comes from `device` and goes back to it."""
    return torch.empty_like(tensor, device="cpu", pin_memory=device.type == "cuda")


def on_device(host: Tensor, *, device: torch.device) -> Tensor:
    """A copy on the device, ordered before what is asked of the device next."""
    return host.to(device, non_blocking=True, copy=True)


def _point_at_host(kept: list[tuple[nn.Parameter, Tensor]]) -> None:
    for parameter, host in kept:
        parameter.data = host
