"""What the trainer asks of a teacher, and the teacher whose weights are here."""

from collections.abc import Sequence
from typing import Protocol

import torch
from transformers import PreTrainedModel

from service.jobs.loss_spec import Objective, TeacherTopKObjective
from worker.training.batching import MicroBatch
from worker.training.head import TeacherScores, head_weight, hidden_states, teacher_scores
from worker.training.offload import present


class Teacher(Protocol):
    """Scores the student's tokens, wherever its weights are."""

    def score(self, batches: Sequence[MicroBatch]) -> list[TeacherScores]:
        """One for each micro-batch, on its device, of its valid response tokens."""
        ...


class LocalTeacher:
    """A model of this process, in evaluation mode."""

    def __init__(self, model: PreTrainedModel, *, objective: Objective) -> None:
        self._model = model
        self._support_size = support_size(objective)

    @property
    def model(self) -> PreTrainedModel:
        return self._model

    @torch.no_grad()
    def score(self, batches: Sequence[MicroBatch]) -> list[TeacherScores]:
        """By its own forward pass over each micro-batch."""
        with present(self._model):
            return [
                teacher_scores(
                    hidden_states(
                        self._model,
                        batch.input_ids_BS,
                        batch.positions_N,
                        packed_lengths=batch.packed_lengths,
                    ),
                    head_weight(self._model),
                    batch.tokens_N,
                    k=self._support_size,
                )
                for batch in batches
            ]


def support_size(objective: Objective) -> int | None:
    """K, the number of the teacher's most likely tokens that an objective needs; None where it needs none."""
    return objective.k if isinstance(objective, TeacherTopKObjective) else None
