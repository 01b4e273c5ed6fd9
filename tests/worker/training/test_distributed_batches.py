"""How a step's work is shared out, without a second process."""

from dataclasses import dataclass

import pytest

from service.jobs.loss_spec import GateSpec
from tests.worker.training.tiny_models import CPU, RULES, random_rollouts
from worker.rollouts.engine import RolloutRequest
from worker.training.batching import cut_into_micro_batches
from worker.training.distributed import dealt
from worker.training.distributed_batches import even_budget, num_idle
from worker.training.distributed_rollouts import share_of


@dataclass(frozen=True)
class RankOf:
    """What sharing out looks at."""

    rank: int
    num_ranks: int


def cut(rollouts, *, budget, is_packed):
    return cut_into_micro_batches(
        rollouts,
        gate=GateSpec(),
        rules=RULES,
        drift_map_block_size=4,
        max_tokens=budget,
        device=CPU,
        is_packed=is_packed,
    )


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("num_ranks", [2, 3, 8])
def test_a_minibatch_is_cut_for_all_ranks_in_no_more_rounds_than_it_takes(num_ranks, is_packed):
    rollouts, ranks = random_rollouts(3, count=20), RankOf(0, num_ranks)

    for max_tokens in (35, 100, 10_000):
        budget = even_budget(rollouts, max_tokens=max_tokens, is_packed=is_packed, ranks=ranks)
        coarse = len(cut(rollouts, budget=max_tokens, is_packed=is_packed))
        fine = len(cut(rollouts, budget=budget, is_packed=is_packed))

        num_rounds = -(-coarse // num_ranks)
        assert budget <= max_tokens
        assert coarse <= fine <= num_rounds * num_ranks
        assert (fine + num_idle(fine, ranks=ranks)) == num_rounds * num_ranks
    assert fine == num_ranks  # where one would do, each gets one


def test_one_rank_cuts_as_it_is_told():
    rollouts = random_rollouts(3)
    assert even_budget(rollouts, max_tokens=77, is_packed=False, ranks=RankOf(0, 1)) == 77


def test_each_round_gives_one_micro_batch_to_every_rank():
    shares = [dealt("abcdef", RankOf(rank, 3)) for rank in range(3)]
    assert shares == [["a", "d"], ["b", "e"], ["c", "f"]]


def test_samples_are_shared_evenly_and_in_order():
    requests = [RolloutRequest((1, 2), (10, 11, 12)), RolloutRequest((3,), (20, 21))]

    assert [share_of(requests, ranks=RankOf(rank, 2)) for rank in range(2)] == [
        [RolloutRequest((1, 2), (10, 11))],
        [RolloutRequest((1, 2), (12,)), RolloutRequest((3,), (20, 21))],
    ]
    assert share_of(requests[1:], ranks=RankOf(0, 8)) == []
