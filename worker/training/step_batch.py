"""A step's rollouts and scores while they are being reused, and how they outlive a stop in between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import MicroBatch, Rollout
from worker.training.collection import StepMetrics
from worker.training.distributed import ALONE, Ranks, dealt, in_rounds
from worker.training.head import TeacherScores
from worker.training.scoring import Minibatch
from worker.training.update import ScoredMicroBatch

BATCH_FILE = "unfinished_step.safetensors"
OPTIONAL_SCORES = ("old_log_probs", "support", "support_log_probs")

# From all rollouts of the step to the micro-batches of each minibatch; a function of the spec.
Arrange = Callable[[Sequence[Rollout]], list[list[MicroBatch]]]


@dataclass(slots=True)
class StepBatch:
    """What a step trains on: every minibatch once an epoch.

    metrics: what the rollouts and scores cost; recorded with the step's first update.
    """

    rollouts: list[Rollout]
    minibatches: list[Minibatch]
    num_epochs: int
    metrics: StepMetrics
    num_updates: int = 0

    @property
    def is_used_up(self) -> bool:
        return self.num_updates == self.num_epochs * len(self.minibatches)

    def next_minibatch(self) -> tuple[Minibatch, StepMetrics]:
        """The minibatch of the next update, and what is to be recorded with it."""
        minibatch = self.minibatches[self.num_updates % len(self.minibatches)]
        metrics, self.metrics = self.metrics, {}
        self.num_updates += 1
        return minibatch, metrics


def scores_of(batch: StepBatch, *, ranks: Ranks = ALONE) -> dict[str, Tensor]:
    """The scores of each minibatch, of all ranks' shares in the order of their tokens.

    That order does not depend on how a minibatch is cut, so any number of ranks can go on with them.
    """
    tensors = {}
    for index, minibatch in enumerate(batch.minibatches):
        mine = [
            tuple(
                scored.teacher.log_probs_N.new_empty(0) if each is None else each
                for each in (
                    scored.teacher.log_probs_N,
                    scored.old_log_probs_N,
                    scored.teacher.support_NK,
                    scored.teacher.support_log_probs_NK,
                )
            )
            for scored in minibatch
        ]
        everyones = in_rounds(mine, ranks=ranks, device=torch.device("cpu"))
        teacher_N, *optional = (torch.cat(parts) for parts in zip(*everyones, strict=True))
        tensors[f"{index}.0/teacher_log_probs"] = teacher_N
        for name, tensor in zip(OPTIONAL_SCORES, optional, strict=True):
            if len(tensor) == len(teacher_N):
                tensors[f"{index}.0/{name}"] = tensor
    return tensors


def save_step_batch(batch: StepBatch, scores: dict[str, Tensor], folder: Path) -> None:
    """Token ids, ends and scores; how they are dealt and cut follows from the spec."""
    responses = [rollout.response for rollout in batch.rollouts]
    tensors = {
        "token_ids": torch.tensor(
            [
                token
                for rollout in batch.rollouts
                for token in (*rollout.prompt_token_ids, *rollout.response.token_ids)
            ]
        ),
        "lengths": torch.tensor(
            [[len(r.prompt_token_ids), len(r.response.token_ids)] for r in batch.rollouts]
        ),
        "stopped": torch.tensor([r.finish_reason is FinishReason.STOP for r in responses]),
    }
    tensors |= scores
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / BATCH_FILE)


def load_step_batch(
    folder: Path,
    *,
    arrange: Arrange,
    num_epochs: int,
    num_updates: int,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> StepBatch:
    """The batch that `save_step_batch` wrote, after `num_updates` updates of its step; this rank's share."""
    tensors = load_file(folder / BATCH_FILE)
    rollouts = _rollouts(tensors)
    minibatches = [
        dealt(_scored(micro_batches, tensors, index, device), ranks)
        for index, micro_batches in enumerate(arrange(rollouts))
    ]
    return StepBatch(rollouts, minibatches, num_epochs, {}, num_updates)


def _scored(
    micro_batches: Sequence[MicroBatch],
    tensors: dict[str, Tensor],
    index: int,
    device: torch.device,
) -> list[ScoredMicroBatch]:
    """The micro-batches of one minibatch, which may have been cut in another way when they were saved."""
    sizes = [batch.num_tokens for batch in micro_batches]

    def parts(name: str) -> Sequence[Tensor | None]:
        saved = [
            tensors[f"{index}.{place}/{name}"]
            for place in range(len(tensors))
            if f"{index}.{place}/{name}" in tensors
        ]
        return torch.cat(saved).to(device).split(sizes) if saved else [None] * len(sizes)

    teacher, *optional = (parts(name) for name in ("teacher_log_probs", *OPTIONAL_SCORES))
    scored = []
    for batch, teacher_N, old_N, support_NK, support_log_probs_NK in zip(
        micro_batches, teacher, *optional, strict=True
    ):
        assert teacher_N is not None
        scores = TeacherScores(teacher_N, support_NK, support_log_probs_NK)
        scored.append(ScoredMicroBatch(batch, scores, old_N))
    return scored


def _rollouts(tensors: dict[str, Tensor]) -> list[Rollout]:
    token_ids, rollouts, start = tensors["token_ids"].tolist(), [], 0
    ends = zip(tensors["lengths"].tolist(), tensors["stopped"].tolist(), strict=True)
    for (prompt_length, response_length), stopped in ends:
        middle, end = start + prompt_length, start + prompt_length + response_length
        reason = FinishReason.STOP if stopped else FinishReason.LENGTH
        response = Response(tuple(token_ids[middle:end]), reason)
        rollouts.append(Rollout(tuple(token_ids[start:middle]), response))
        start = end
    return rollouts
