"""A teacher whose weights are on a vLLM server: the trainer's micro-batches go there as token ids.

Legend: B responses, S positions, N valid response tokens of a micro-batch, K teacher support.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.remote_teacher.completions import scoring_request
from worker.remote_teacher.exchange import Server, ask_all
from worker.remote_teacher.prompt_log_probs import TokenScores
from worker.training.batching import MicroBatch
from worker.training.head import TeacherScores

# Of one request; a longer sequence goes alone. The answer is text, of some 3 MB a thousand tokens at K = 32.
MAX_TOKENS_PER_REQUEST = 8192
MAX_PROMPTS_PER_REQUEST = 32


@dataclass(frozen=True, slots=True)
class _Sequence:
    """A prompt and its response up to the last token that is scored; `wanted` are these tokens' positions."""

    batch: int
    token_ids: list[int]
    wanted: list[int]


class RemoteTeacher:
    """Scores by the server, several requests at once. Each answer is proved to be about the tokens that were sent."""

    def __init__(self, server: Server, *, support_size: int | None) -> None:
        self._server = server
        self._support_size = support_size

    def score(self, batches: Sequence[MicroBatch]) -> list[TeacherScores]:
        """One for each micro-batch. Raises TEACHER_INVALID, TEACHER_UNAVAILABLE and StopRequestedError."""
        sequences = [each for index, batch in enumerate(batches) for each in _cut(batch, index)]
        groups = list(_grouped(sequences))
        answers = ask_all(
            self._server,
            [
                scoring_request(
                    [each.token_ids for each in group],
                    [each.wanted for each in group],
                    server=self._server,
                    k=self._support_size,
                )
                for group in groups
            ],
        )
        of_batch: list[list[TokenScores]] = [[] for _ in batches]
        for group, answer in zip(groups, answers, strict=True):
            for sequence, scores in zip(group, answer, strict=True):
                of_batch[sequence.batch].append(scores)
        return [
            self._teacher_scores(batch, scores)
            for batch, scores in zip(batches, of_batch, strict=True)
        ]

    def _teacher_scores(self, batch: MicroBatch, parts: Sequence[TokenScores]) -> TeacherScores:
        device = batch.tokens_N.device
        log_probs = [each for part in parts for each in part.log_probs]
        assert len(log_probs) == batch.num_tokens
        support_NK: Tensor | None = None
        support_log_probs_NK: Tensor | None = None
        if self._support_size is not None:
            shape = (batch.num_tokens, self._support_size)
            support = [row for part in parts for row in part.support]
            values = [row for part in parts for row in part.support_log_probs]
            support_NK = torch.tensor(support, dtype=torch.long, device=device).view(shape)
            support_log_probs_NK = torch.tensor(values, device=device).view(shape)
        return TeacherScores(
            log_probs_N=torch.tensor(log_probs, dtype=torch.float32, device=device),
            support_NK=support_NK,
            support_log_probs_NK=support_log_probs_NK,
        )


def _cut(batch: MicroBatch, index: int) -> Iterator[_Sequence]:
    """The sequences that have a token to score, in order, without what stands behind it."""
    flat = batch.input_ids_BS.flatten().tolist()
    width = batch.input_ids_BS.shape[1]
    # A position predicts the token behind it.
    places = [position + 1 for position in batch.positions_N.tolist()]
    scored = [flat[place] for place in places]
    assert scored == batch.tokens_N.tolist(), (
        "each token stands behind the position that predicts it"
    )
    start = num_before = 0
    for length in batch.sequence_lengths:
        num_until = bisect_left(places, start + length)
        wanted = [place - start for place in places[num_before:num_until]]
        if wanted:
            yield _Sequence(index, flat[start : start + wanted[-1] + 1], wanted)
        start += length if batch.is_packed else width
        num_before = num_until


def _grouped(sequences: Sequence[_Sequence]) -> Iterator[list[_Sequence]]:
    """In order, so that each batch's scores come in the order of its rows."""
    group: list[_Sequence] = []
    num_tokens = 0
    for sequence in sequences:
        length = len(sequence.token_ids)
        if group and (
            num_tokens + length > MAX_TOKENS_PER_REQUEST or len(group) == MAX_PROMPTS_PER_REQUEST
        ):
            yield group
            group, num_tokens = [], 0
        group.append(sequence)
        num_tokens += length
    if group:
        yield group
