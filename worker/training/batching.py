"""Rollouts become micro-batches: sorted by length, cut by token budget, padded on the right or packed in a row.

Only the positions that predict a valid response token reach the loss head, so padding, prompts and masked
tokens cost no head compute and change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from service.jobs.loss_spec import GateSpec
from worker.rollouts.engine import Response
from worker.training.gate import Units
from worker.training.units import fixed_blocks, unit_of_each_token

# Legend: B responses, S positions (prompt, response, padding), N valid response tokens, U gate units.


@dataclass(frozen=True, slots=True)
class Rollout:
    """A prompt with one response of the behaviour policy."""

    prompt_token_ids: tuple[int, ...]
    response: Response

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_token_ids) + len(self.response.token_ids)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One forward pass.

    input_ids_BS: prompts and responses, padded on the right, so causal attention needs no mask; where
    packed, all of them in one row.
    positions_N: index into the B·S positions of the one that predicts each valid response token.
    block_ids_N: column of the drift map.
    sequence_lengths: tokens of each prompt with its response, in order.
    """

    input_ids_BS: Tensor
    positions_N: Tensor
    tokens_N: Tensor
    units: Units
    block_ids_N: Tensor
    sequence_lengths: tuple[int, ...]
    is_packed: bool = False

    @property
    def num_tokens(self) -> int:
        """Valid response tokens."""
        return len(self.tokens_N)

    @property
    def packed_lengths(self) -> tuple[int, ...] | None:
        """Of the sequences of the row; None where each has a row of its own."""
        return self.sequence_lengths if self.is_packed else None


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What the trainer has to know of single tokens."""

    pad_token_id: int
    masked_token_ids: frozenset[int]
    newline_token_ids: frozenset[int]


def cut_into_micro_batches(
    rollouts: Sequence[Rollout],
    *,
    gate: GateSpec,
    rules: TokenRules,
    drift_map_block_size: int,
    max_tokens: int,
    device: torch.device,
    is_packed: bool = False,
) -> list[MicroBatch]:
    """Longest first, at most `max_tokens` positions each (one sequence may be longer by itself).

    Padded or packed, the tokens of all micro-batches together stand in one order.
    """
    longest_first = sorted(rollouts, key=lambda rollout: -rollout.num_tokens)
    groups: list[list[Rollout]] = []
    for rollout in longest_first:
        if groups and _num_positions([*groups[-1], rollout], is_packed=is_packed) <= max_tokens:
            groups[-1].append(rollout)
        else:
            groups.append([rollout])
    return [
        _micro_batch(group, gate, rules, drift_map_block_size, device, is_packed=is_packed)
        for group in groups
    ]


def _num_positions(longest_first: Sequence[Rollout], *, is_packed: bool) -> int:
    if is_packed:
        return sum(rollout.num_tokens for rollout in longest_first)
    return len(longest_first) * longest_first[0].num_tokens


def _micro_batch(
    rollouts: Sequence[Rollout],
    gate: GateSpec,
    rules: TokenRules,
    drift_map_block_size: int,
    device: torch.device,
    *,
    is_packed: bool,
) -> MicroBatch:
    width = max(rollout.num_tokens for rollout in rollouts)
    starts = accumulate([rollout.num_tokens for rollout in rollouts], initial=0)
    input_ids: list[list[int]] = []
    positions: list[int] = []
    tokens: list[int] = []
    unit_ids: list[int] = []
    sequence_of_unit: list[int] = []
    block_ids: list[int] = []
    for row, (rollout, start_in_row) in enumerate(zip(rollouts, starts, strict=False)):
        response_ids = rollout.response.token_ids
        sequence = [*rollout.prompt_token_ids, *response_ids]
        padding = [] if is_packed else [rules.pad_token_id] * (width - len(sequence))
        input_ids.append(sequence + padding)
        valid = [t for t, token in enumerate(response_ids) if token not in rules.masked_token_ids]
        # The hidden state one before a token predicts it.
        start = start_in_row if is_packed else row * width
        first = start + len(rollout.prompt_token_ids) - 1
        positions += [first + t for t in valid]
        tokens += [response_ids[t] for t in valid]
        newlines = [response_ids[t] in rules.newline_token_ids for t in valid]
        own_units = unit_of_each_token(newlines, spec=gate)
        unit_ids += [len(sequence_of_unit) + unit for unit in own_units]
        sequence_of_unit += [row] * (own_units[-1] + 1 if own_units else 0)
        block_ids += fixed_blocks(len(valid), block_size=drift_map_block_size)
    rows = [[token for sequence in input_ids for token in sequence]] if is_packed else input_ids
    return MicroBatch(
        input_ids_BS=torch.tensor(rows, device=device),
        positions_N=torch.tensor(positions, device=device, dtype=torch.long),
        tokens_N=torch.tensor(tokens, device=device, dtype=torch.long),
        units=Units(
            unit_ids_N=torch.tensor(unit_ids, device=device, dtype=torch.long),
            sequence_of_unit_U=torch.tensor(sequence_of_unit, device=device, dtype=torch.long),
        ),
        block_ids_N=torch.tensor(block_ids, device=device, dtype=torch.long),
        sequence_lengths=tuple(rollout.num_tokens for rollout in rollouts),
        is_packed=is_packed,
    )


def concatenated(parts: Sequence[Units]) -> Units:
    """The units of several micro-batches as those of one minibatch."""
    unit_ids, sequence_of_unit = [], []
    num_units = num_sequences = 0
    for part in parts:
        unit_ids.append(part.unit_ids_N + num_units)
        sequence_of_unit.append(part.sequence_of_unit_U + num_sequences)
        num_units += part.num_units
        if part.num_units:
            num_sequences += int(part.sequence_of_unit_U[-1]) + 1
    return Units(torch.cat(unit_ids), torch.cat(sequence_of_unit))


def newline_token_ids(tokenizer: object, *, vocabulary_size: int) -> frozenset[int]:
    """Tokens whose decoded text contains a newline."""
    texts = tokenizer.batch_decode([[token] for token in range(vocabulary_size)])  # type: ignore[attr-defined]
    return frozenset(token for token, text in enumerate(texts) if "\n" in text)
