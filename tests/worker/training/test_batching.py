"""Micro-batches: what is forwarded, what is trained on, and under which ids."""

import torch

from service.jobs.loss_spec import GateSpec
from tests.worker.training.tiny_models import CPU, NEWLINE, RULES, random_rollouts, tiny_qwen3
from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import Rollout, concatenated, cut_into_micro_batches
from worker.training.update import log_probs_of


def cut(rollouts: list[Rollout], *, max_tokens: int, gate: GateSpec | None = None) -> list:
    return cut_into_micro_batches(
        rollouts,
        gate=gate or GateSpec(block_size=2),
        rules=RULES,
        drift_map_block_size=3,
        max_tokens=max_tokens,
        device=CPU,
    )


def rollout(prompt: tuple[int, ...], response: tuple[int, ...]) -> Rollout:
    return Rollout(prompt, Response(response, FinishReason.LENGTH))


def test_positions_units_and_blocks_of_two_responses_by_hand() -> None:
    (batch,) = cut([rollout((7, 8), (9,)), rollout((7,), (2, NEWLINE, 3, 4, 6))], max_tokens=100)
    assert batch.input_ids_BS.tolist() == [[7, 2, NEWLINE, 3, 4, 6], [7, 8, 9, 0, 0, 0]]
    assert batch.tokens_N.tolist() == [2, NEWLINE, 3, 4, 6, 9]
    assert batch.positions_N.tolist() == [0, 1, 2, 3, 4, 6 + 1]  # one before each token
    assert batch.units.unit_ids_N.tolist() == [0, 0, 1, 1, 2, 3]
    assert batch.units.sequence_of_unit_U.tolist() == [0, 0, 0, 1]
    assert batch.block_ids_N.tolist() == [0, 0, 0, 1, 1, 0]


def test_the_token_budget_counts_padding() -> None:
    rollouts = random_rollouts(3, count=20)
    batches = cut(rollouts, max_tokens=60)
    assert all(batch.input_ids_BS.numel() <= 60 for batch in batches)
    assert sum(len(batch.input_ids_BS) for batch in batches) == 20


def test_padding_changes_no_log_probability() -> None:
    student, rollouts = tiny_qwen3(1), random_rollouts(3)
    longest_first = sorted(rollouts, key=lambda r: -r.num_tokens)
    (together,) = cut(rollouts, max_tokens=10_000)
    alone = [cut([rollout], max_tokens=10_000)[0] for rollout in longest_first]
    expected_N = torch.cat([log_probs_of(student, batch) for batch in alone])
    torch.testing.assert_close(log_probs_of(student, together), expected_N)


def test_units_of_several_micro_batches_are_those_of_the_whole() -> None:
    rollouts = random_rollouts(3)
    (whole,) = cut(rollouts, max_tokens=10_000)
    units = concatenated([batch.units for batch in cut(rollouts, max_tokens=40)])
    assert units.unit_ids_N.tolist() == whole.units.unit_ids_N.tolist()
    assert units.sequence_of_unit_U.tolist() == whole.units.sequence_of_unit_U.tolist()
