"""Processes that train one model together, one for each device: what they tell each other.

Every process, a rank, holds its shard of the models and does its share of a step; what one of them must know of
the others goes through here, by way of the CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")


class PeerLostError(RuntimeError):
    """Another rank has ended; that one says why."""


class Task(StrEnum):
    """What rank 0, which alone decides and records, asks of the others."""

    LOAD = "load"
    LOAD_STUDENT = "load_student"
    LOAD_TEACHER = "load_teacher"
    TRAIN = "train"
    COLLECT = "collect"
    UPDATE = "update"
    MEASURE = "measure"
    SAVE = "save"
    RESTORE = "restore"
    SAMPLE_STUDENT = "sample_student"
    SAMPLE_TEACHER = "sample_teacher"
    END = "end"


@dataclass(frozen=True, slots=True)
class Order:
    """A task for all ranks; what the argument is, the task says."""

    task: Task
    argument: Any = None


class Ranks(Protocol):
    """A call of one rank returns when all have made it."""

    @property
    def rank(self) -> int: ...

    @property
    def num_ranks(self) -> int: ...

    def gathered(self, mine: Value) -> list[Value]:
        """Every rank's value, in order of rank; no tensors on a device. Raises PeerLostError."""
        ...

    def order(self, task: Task, argument: Any = None) -> None:
        """Of rank 0: the others, who wait for an order, get this one. Raises PeerLostError."""
        ...

    def next_order(self) -> Order:
        """Of the others, however long rank 0 takes. Raises PeerLostError."""
        ...


class Alone:
    """One process with everything."""

    rank = 0
    num_ranks = 1

    def gathered(self, mine: Value) -> list[Value]:
        return [mine]

    def order(self, task: Task, argument: Any = None) -> None:
        """Nobody is there to follow."""

    def next_order(self) -> Order:
        raise AssertionError("one process follows nobody")


class ProcessGroup:
    """The ranks of torch's default process group, which must have a backend for the CPU."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.num_ranks = dist.get_world_size()

    def gathered(self, mine: Value) -> list[Value]:
        values: list[Value | None] = [None] * self.num_ranks
        try:
            dist.all_gather_object(values, mine)
        except RuntimeError as error:
            raise PeerLostError(str(error)) from error
        return values  # type: ignore[return-value]  # every place is filled

    def order(self, task: Task, argument: Any = None) -> None:
        self._broadcast(Order(task, argument))

    def next_order(self) -> Order:
        order = self._broadcast(None)
        assert order is not None
        return order

    def _broadcast(self, order: Order | None) -> Order | None:
        orders = [order]
        try:
            dist.broadcast_object_list(orders, src=0, device=torch.device("cpu"))
        except RuntimeError as error:
            raise PeerLostError(str(error)) from error
        return orders[0]


ALONE = Alone()


def dealt(parts: Sequence[Value], ranks: Ranks) -> list[Value]:
    """The share of this rank in what all ranks know: one in each round of dealing."""
    return list(parts[ranks.rank :: ranks.num_ranks])


def in_rounds(
    mine: Sequence[tuple[Tensor, ...]], *, ranks: Ranks, device: torch.device
) -> list[tuple[Tensor, ...]]:
    """What was dealt to all ranks, in the order before it was dealt; each rank gives as many."""
    if ranks.num_ranks == 1:
        return list(mine)
    shares = ranks.gathered([tuple(tensor.detach().cpu() for tensor in part) for part in mine])
    return [
        tuple(tensor.to(device) for tensor in part)
        for of_round in zip(*shares, strict=True)
        for part in of_round
    ]
