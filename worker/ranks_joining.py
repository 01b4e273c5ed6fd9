"""How a process that torchrun started becomes one of the ranks."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from service.child_process import die_with_parent
from worker.attempt_end import STOP_RANK
from worker.training.distributed import ALONE, PeerLostError, ProcessGroup, Ranks

# Rank 0 may wait long for a database or for an evaluation's grades while the others wait for it. One that has
# died is noticed at once, by its closed connections.
PATIENCE = timedelta(days=365)


def stop_signal() -> signal.Signals:
    """What asks this process to stop; where torchrun started it SIGTERM is torchrun's, which ends all ranks with it."""
    return STOP_RANK if dist.is_torchelastic_launched() else signal.SIGTERM


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """The ranks that torchrun started with this process; where it did not, none but this.

    Raises PeerLostError for whatever fails inside because another rank has ended.
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    die_with_parent(os.getppid())
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.get_node_local_rank())
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=PATIENCE)
    ranks = ProcessGroup()
    try:
        yield ranks
    except Exception as error:
        if _is_loss_of_peer(error):
            raise PeerLostError(str(error)) from error
        error.add_note(f"on rank {ranks.rank} of {ranks.num_ranks}")
        raise
    dist.destroy_process_group()


def _is_loss_of_peer(error: Exception) -> bool:
    """Also from inside of a model's pass, where FSDP communicates."""
    return isinstance(error, PeerLostError | dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo/transport" in str(error)
    )
