"""A step's rollouts and scores while they are being reused, and how they outlive a stop in between."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import MicroBatch, Rollout
from worker.training.collection import StepMetrics
from worker.training.head import TeacherScores
from worker.training.scoring import Minibatch
from worker.training.update import ScoredMicroBatch

BATCH_FILE = "unfinished_step.safetensors"

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


def save_step_batch(batch: StepBatch, folder: Path) -> None:
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
    for name, scored in _named(batch.minibatches):
        tensors[f"{name}/teacher_log_probs"] = scored.teacher.log_probs_N
        optional = {
            "old_log_probs": scored.old_log_probs_N,
            "support": scored.teacher.support_NK,
            "support_log_probs": scored.teacher.support_log_probs_NK,
        }
        tensors |= {f"{name}/{key}": each for key, each in optional.items() if each is not None}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / BATCH_FILE)


def load_step_batch(
    folder: Path, *, arrange: Arrange, num_epochs: int, num_updates: int, device: torch.device
) -> StepBatch:
    """The batch that `save_step_batch` wrote, after `num_updates` updates of its step."""
    tensors = load_file(folder / BATCH_FILE)
    rollouts = _rollouts(tensors)
    minibatches = [
        [
            ScoredMicroBatch(
                batch,
                TeacherScores(
                    tensors[f"{index}.{place}/teacher_log_probs"].to(device),
                    _optional(tensors, f"{index}.{place}/support", device),
                    _optional(tensors, f"{index}.{place}/support_log_probs", device),
                ),
                _optional(tensors, f"{index}.{place}/old_log_probs", device),
            )
            for place, batch in enumerate(micro_batches)
        ]
        for index, micro_batches in enumerate(arrange(rollouts))
    ]
    return StepBatch(rollouts, minibatches, num_epochs, {}, num_updates)


def _named(minibatches: Sequence[Minibatch]) -> Iterator[tuple[str, ScoredMicroBatch]]:
    for index, minibatch in enumerate(minibatches):
        for place, scored in enumerate(minibatch):
            yield f"{index}.{place}", scored


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


def _optional(tensors: dict[str, Tensor], name: str, device: torch.device) -> Tensor | None:
    return tensors[name].to(device) if name in tensors else None
