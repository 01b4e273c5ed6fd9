"""Targets of a step: what the teacher and the behaviour policy say of its tokens, once for all its reuse."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from service.jobs.loss_spec import TeacherTopKObjective
from service.jobs.spec import JobSpec
from worker.training.batching import MicroBatch, Rollout, TokenRules, cut_into_micro_batches
from worker.training.collection import deal_into_minibatches
from worker.training.head import TeacherScores, head_weight, hidden_states, teacher_scores
from worker.training.update import ScoredMicroBatch, log_probs_of

Minibatch = list[ScoredMicroBatch]


def arrange_micro_batches(
    rollouts: Sequence[Rollout],
    *,
    spec: JobSpec,
    step: int,
    rules: TokenRules,
    device: torch.device,
) -> list[list[MicroBatch]]:
    """The micro-batches of each minibatch; a function of the spec, the step and the rollouts."""
    return [
        cut_into_micro_batches(
            part,
            gate=spec.gate,
            rules=rules,
            drift_map_block_size=spec.drift_map_block_size,
            max_tokens=spec.compute.max_tokens_per_microbatch,
            device=device,
        )
        for part in deal_into_minibatches(rollouts, spec=spec, step=step)
    ]


def score_minibatches(
    parts: Sequence[Sequence[MicroBatch]],
    *,
    spec: JobSpec,
    student: PreTrainedModel,
    teacher: PreTrainedModel,
) -> list[Minibatch]:
    """Minibatches with teacher scores; all but the first also with log pi_old.

    The first one's log pi_old falls out of its own first update, at unchanged weights.
    """
    minibatches = [
        [
            ScoredMicroBatch(batch, score_by_teacher(teacher, batch, spec=spec), None)
            for batch in part
        ]
        for part in parts
    ]
    for minibatch in minibatches[1:]:
        for scored in minibatch:
            scored.old_log_probs_N = log_probs_of(student, scored.batch)
    return minibatches


@torch.no_grad()
def score_by_teacher(
    teacher: PreTrainedModel, batch: MicroBatch, *, spec: JobSpec
) -> TeacherScores:
    """The teacher's own forward pass over the student's tokens."""
    return teacher_scores(
        hidden_states(teacher, batch.input_ids_BS, batch.positions_N),
        head_weight(teacher),
        batch.tokens_N,
        k=spec.objective.k if isinstance(spec.objective, TeacherTopKObjective) else None,
    )
