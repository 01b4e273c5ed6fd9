"""What is kept of an update token by token, so that other gates can be tried on it later.

Legend: N valid response tokens, in order of response and position; R responses with any.
"""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from service.jobs.records import TokenDriftRecord
from worker.training.distributed import ALONE, Ranks, in_rounds
from worker.training.update import ScoredMicroBatch, UpdateOutcome

MAX_TOKENS_KEPT = 32_768  # of one update


def token_drift(
    outcome: UpdateOutcome,
    minibatch: Sequence[ScoredMicroBatch],
    *,
    number: int,
    newline_token_ids: Collection[int],
    ranks: Ranks = ALONE,
) -> TokenDriftRecord | None:
    """Of whole responses, MAX_TOKENS_KEPT at most; `minibatch` is this rank's share, `number` its place in the step.

    None where drift was looked at on some tokens only, or where the responses are too long for any to be kept.
    """
    if len(outcome.drift_N) < outcome.num_tokens:
        return None
    lengths, newlines_N = _responses(minibatch, newline_token_ids, ranks=ranks)
    kept = kept_responses(lengths, max_tokens=MAX_TOKENS_KEPT)
    num_kept = len(range(len(lengths))[kept])
    if not num_kept:
        return None
    is_kept_R = torch.zeros(len(lengths), dtype=torch.bool)
    is_kept_R[kept] = True
    is_kept_N = is_kept_R.repeat_interleave(torch.tensor(lengths))
    return TokenDriftRecord(
        minibatch=number,
        num_responses_left_out=len(lengths) - num_kept,
        response_lengths=np.array(lengths[kept], dtype="<u4").tobytes(),
        drift_nats=_float16_bytes(outcome.drift_N.cpu()[is_kept_N]),
        abs_losses=_float16_bytes(outcome.abs_losses_N.cpu()[is_kept_N]),
        newlines=np.packbits(newlines_N[is_kept_N].numpy()).tobytes(),
    )


def kept_responses(lengths: Sequence[int], *, max_tokens: int) -> slice:
    """As many as fit, evenly spaced: they come longest first, so that the first of them are not like the rest.

    None at all where not even the one in the middle fits.
    """
    fewest_apart = max(1, -(-sum(lengths) // max_tokens))
    for apart in range(fewest_apart, len(lengths) + 1):
        kept = slice(apart // 2, None, apart)
        if sum(lengths[kept]) <= max_tokens:
            return kept
    return slice(0, 0)


def _responses(
    minibatch: Sequence[ScoredMicroBatch], newline_token_ids: Collection[int], *, ranks: Ranks
) -> tuple[list[int], Tensor]:
    """Valid tokens of each response that has any, and which of them hold a newline [N]; of all ranks."""
    newline_ids = torch.tensor(sorted(newline_token_ids), dtype=torch.long)
    mine = [
        (batch.units.sequence_ids_N.cpu(), torch.isin(batch.tokens_N.cpu(), newline_ids))
        for batch in (scored.batch for scored in minibatch)
    ]
    everyones = in_rounds(mine, ranks=ranks, device=torch.device("cpu"))
    lengths: list[int] = []
    for sequence_ids_N, _ in everyones:
        lengths += torch.unique_consecutive(sequence_ids_N, return_counts=True)[1].tolist()
    return lengths, torch.cat([newlines_N for _, newlines_N in everyones])


def _float16_bytes(values_N: Tensor) -> bytes:
    return values_N.half().numpy().astype("<f2").tobytes()
