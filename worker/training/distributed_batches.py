"""Micro-batches for several ranks: as many for each, of about as many tokens.

How a minibatch is cut changes nothing but rounding, so it is cut to suit the ranks. The tokens of all micro-batches
together stand in the same order whatever the cut.
"""

from collections.abc import Sequence

from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import Rollout
from worker.training.distributed import Ranks

# Has no token to train on: what a rank passes through its models in a round that has nothing for it.
IDLE = Rollout((0,), Response((), FinishReason.STOP))


def even_budget(
    rollouts: Sequence[Rollout], *, max_tokens: int, is_packed: bool, ranks: Ranks
) -> int:
    """The smallest token budget of a micro-batch that takes no more rounds than `max_tokens` does.

    That one itself where there is one rank.
    """
    if ranks.num_ranks == 1 or not rollouts:
        return max_tokens
    lengths = sorted((rollout.num_tokens for rollout in rollouts), reverse=True)

    def num_groups(budget: int) -> int:
        return _num_groups(lengths, budget, is_packed=is_packed)

    most = -(-num_groups(max_tokens) // ranks.num_ranks) * ranks.num_ranks
    low, high = 1, max_tokens
    while low < high:
        middle = (low + high) // 2
        if num_groups(middle) > most:
            low = middle + 1
        else:
            high = middle
    return high


def num_idle(num_micro_batches: int, *, ranks: Ranks) -> int:
    """How many are missing for a last round that has one for every rank."""
    return -num_micro_batches % ranks.num_ranks


def _num_groups(longest_first: Sequence[int], budget: int, *, is_packed: bool) -> int:
    """As micro-batches are cut: each sequence takes its own length where packed, else that of the longest."""
    num_groups = width = num_positions = 0
    for length in longest_first:
        taken = length if is_packed else width
        if num_groups and num_positions + taken <= budget:
            num_positions += taken
        else:
            num_groups, width, num_positions = num_groups + 1, length, length
    return num_groups
