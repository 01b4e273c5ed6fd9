"""Rollouts become micro-batches: sorted by length, cut by token budget, padded on the right.

Only the positions that predict a valid response token reach the loss head, so padding, prompts and masked
tokens cost no head compute and change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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

    input_ids_BS: prompts and responses, padded on the right, so causal attention needs no mask.
    positions_N: index into the B·S positions of the one that predicts each valid response token.
    block_ids_N: column of the drift map.
    """

    input_ids_BS: Tensor
    positions_N: Tensor
    tokens_N: Tensor
    units: Units
    block_ids_N: Tensor

    @property
    def num_tokens(self) -> int:
        """Valid response tokens."""
        return len(self.tokens_N)


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
) -> list[MicroBatch]:
    """Longest first, at most `max_tokens` positions each (one sequence may be longer by itself)."""
    longest_first = sorted(rollouts, key=lambda rollout: -rollout.num_tokens)
    groups: list[list[Rollout]] = []
    for rollout in longest_first:
        fits = groups and (len(groups[-1]) + 1) * groups[-1][0].num_tokens <= max_tokens
        if fits:
            groups[-1].append(rollout)
        else:
            groups.append([rollout])
    return [_micro_batch(group, gate, rules, drift_map_block_size, device) for group in groups]


def _micro_batch(
    rollouts: Sequence[Rollout],
    gate: GateSpec,
    rules: TokenRules,
    drift_map_block_size: int,
    device: torch.device,
) -> MicroBatch:
    width = max(rollout.num_tokens for rollout in rollouts)
    input_ids: list[list[int]] = []
    positions: list[int] = []
    tokens: list[int] = []
    unit_ids: list[int] = []
    sequence_of_unit: list[int] = []
    block_ids: list[int] = []
    for row, rollout in enumerate(rollouts):
        response_ids = rollout.response.token_ids
        sequence = [*rollout.prompt_token_ids, *response_ids]
        input_ids.append(sequence + [rules.pad_token_id] * (width - len(sequence)))
        valid = [t for t, token in enumerate(response_ids) if token not in rules.masked_token_ids]
        # The hidden state one before a token predicts it.
        first = row * width + len(rollout.prompt_token_ids) - 1
        positions += [first + t for t in valid]
        tokens += [response_ids[t] for t in valid]
        newlines = [response_ids[t] in rules.newline_token_ids for t in valid]
        own_units = unit_of_each_token(newlines, spec=gate)
        unit_ids += [len(sequence_of_unit) + unit for unit in own_units]
        sequence_of_unit += [row] * (own_units[-1] + 1 if own_units else 0)
        block_ids += fixed_blocks(len(valid), block_size=drift_map_block_size)
    return MicroBatch(
        input_ids_BS=torch.tensor(input_ids, device=device),
        positions_N=torch.tensor(positions, device=device, dtype=torch.long),
        tokens_N=torch.tensor(tokens, device=device, dtype=torch.long),
        units=Units(
            unit_ids_N=torch.tensor(unit_ids, device=device, dtype=torch.long),
            sequence_of_unit_U=torch.tensor(sequence_of_unit, device=device, dtype=torch.long),
        ),
        block_ids_N=torch.tensor(block_ids, device=device, dtype=torch.long),
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
