"""Models whose weights are cut over the ranks (FSDP2), and how they are made whole where that is needed.

Each layer is a group that FSDP gathers for its own forward and backward pass. The embeddings, the head and the
last norm are the root's group. The loss head takes the head's weight and adds to its gradient beside autograd, so
that group is handled here: it is gathered once, stays whole for all micro-batches of an update, and its
gradients are summed over the ranks once at the end.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, Partial, distribute_tensor
from transformers import PreTrainedModel

from worker.training.distributed import Ranks
from worker.training.head import SHARDED_DECODER

HALF = (torch.bfloat16, torch.float16)


def shard_model(model: PreTrainedModel, *, ranks: Ranks, device: torch.device) -> None:
    """Leaves this rank its shard of every weight; all ranks must hold the same model, on their devices.

    Gradients are sums over the ranks, in float32 where weights are narrower. Nothing happens with one rank.
    """
    if ranks.num_ranks == 1:
        return
    mesh = init_device_mesh(device.type, (ranks.num_ranks,))
    is_half = model.dtype in HALF
    policy = MixedPrecisionPolicy(
        reduce_dtype=torch.float32 if is_half else None, cast_forward_inputs=False
    )
    for layer in model.get_decoder().layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))
    root = _root(model)
    for module in _sharded_modules(model):
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)
    root.set_requires_gradient_sync(False, recurse=False)
    root.set_reshard_after_backward(False, recurse=False)
    setattr(model, SHARDED_DECODER, model.get_decoder().__call__)
    register_fsdp_forward_method(model, SHARDED_DECODER)
    with whole_root(model), torch.no_grad():
        # Whichever module is called first passes for the root.
        getattr(model, SHARDED_DECODER)(
            input_ids=torch.zeros(1, 1, dtype=torch.long, device=device), use_cache=False
        )


@contextmanager
def whole_root(model: PreTrainedModel) -> Iterator[None]:
    """Embeddings, head and last norm are plain tensors inside; their gradients are summed and cut at the end.

    Nothing happens to a model that is not sharded.
    """
    if not is_sharded(model):
        yield
        return
    root = _root(model)
    root.unshard()
    yield
    gradients = {}
    for name, parameter in model.named_parameters():
        if not isinstance(parameter, DTensor) and parameter.grad is not None:
            gradients[name] = parameter.grad
            parameter.grad = None
    root.reshard()
    shards = dict(model.named_parameters())
    for name, gradient in gradients.items():
        shard = shards[name]
        assert isinstance(shard, DTensor)
        of_this_rank = DTensor.from_local(
            gradient, shard.device_mesh, [Partial("sum")], run_check=False
        )
        shard.grad = of_this_rank.redistribute(shard.device_mesh, shard.placements)


@contextmanager
def whole_model(model: PreTrainedModel) -> Iterator[None]:
    """Every weight is a plain tensor inside: to sample from, each rank on its own.

    Nothing happens to a model that is not sharded.
    """
    if not is_sharded(model):
        yield
        return
    modules = _sharded_modules(model)
    for module in modules:
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()
    yield
    for module in modules:
        module.reshard()
        module.set_reshard_after_forward(module is not model, recurse=False)


def is_sharded(model: PreTrainedModel) -> bool:
    """Whether `shard_model` was here."""
    return isinstance(model, FSDPModule)


def collected(tensors: Mapping[str, Tensor], *, ranks: Ranks) -> dict[str, Tensor]:
    """On rank 0 the tensors, put together from the ranks' shards in the CPU's memory; nothing on the others."""
    if ranks.num_ranks == 1:
        return dict(tensors)
    whole = ((name, plain(tensor).cpu()) for name, tensor in tensors.items())
    if ranks.rank == 0:
        return dict(whole)
    deque(whole, maxlen=0)  # each of them takes all ranks
    return {}


def named_tensors(model: PreTrainedModel) -> dict[str, Tensor]:
    """What a model folder holds, tied weights once."""
    kept = model.state_dict().keys()
    buffers = {name: tensor for name, tensor in model.named_buffers() if name in kept}
    return {name: tensor.detach() for name, tensor in model.named_parameters()} | buffers


@torch.no_grad()
def load_shards(model: PreTrainedModel, whole: PreTrainedModel) -> None:
    """Gives each rank its shard of the weights of a model that every rank has read."""
    of_whole = whole.state_dict()
    for name, tensor in model.state_dict().items():
        tensor.copy_(cut_like(of_whole[name], tensor))


def plain(tensor: Tensor) -> Tensor:
    """The tensor, put together where it is cut over the ranks, which takes all of them."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def num_elements_here(tensor: Tensor) -> int:
    """Numbers of a tensor that this rank holds."""
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).numel()


def cut_like(whole: Tensor, like: Tensor) -> Tensor:
    """The shard of this rank of a tensor that every rank has; the tensor itself where `like` is not sharded."""
    if not isinstance(like, DTensor):
        return whole
    return distribute_tensor(
        whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )


def _root(model: PreTrainedModel) -> FSDPModule:
    return cast("FSDPModule", model)


def _sharded_modules(model: nn.Module) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]
