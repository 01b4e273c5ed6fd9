"""Targets of a step: what the teacher and the behaviour policy say of its tokens, once for all its reuse."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from service.jobs.spec import JobSpec
from worker.training.batching import MicroBatch, Rollout, TokenRules, cut_into_micro_batches
from worker.training.collection import deal_into_minibatches
from worker.training.distributed import ALONE, Ranks
from worker.training.distributed_batches import IDLE, even_budget, num_idle
from worker.training.distributed_sharding import whole_root
from worker.training.teacher import Teacher
from worker.training.update import ScoredMicroBatch, log_probs_of

Minibatch = list[ScoredMicroBatch]


def arrange_micro_batches(
    rollouts: Sequence[Rollout],
    *,
    spec: JobSpec,
    step: int,
    rules: TokenRules,
    device: torch.device,
    ranks: Ranks = ALONE,
    is_packed: bool = False,
) -> list[list[MicroBatch]]:
    """The micro-batches of each minibatch, for all ranks; a function of the spec, the step and the rollouts."""
    return [
        cut_evenly(part, spec=spec, rules=rules, device=device, ranks=ranks, is_packed=is_packed)
        for part in deal_into_minibatches(rollouts, spec=spec, step=step)
    ]


def cut_evenly(
    rollouts: Sequence[Rollout],
    *,
    spec: JobSpec,
    rules: TokenRules,
    device: torch.device,
    ranks: Ranks = ALONE,
    is_packed: bool = False,
) -> list[MicroBatch]:
    """Micro-batches of all the rollouts, as many for each rank."""

    def cut(part: Sequence[Rollout]) -> list[MicroBatch]:
        max_tokens = even_budget(
            part,
            max_tokens=spec.compute.max_tokens_per_microbatch,
            is_packed=is_packed,
            ranks=ranks,
        )
        return cut_into_micro_batches(
            part,
            gate=spec.gate,
            rules=rules,
            drift_map_block_size=spec.drift_map_block_size,
            max_tokens=max_tokens,
            device=device,
            is_packed=is_packed,
        )

    micro_batches = cut(rollouts)
    return micro_batches + cut([IDLE]) * num_idle(len(micro_batches), ranks=ranks)


def score_minibatches(
    parts: Sequence[Sequence[MicroBatch]],
    *,
    student: PreTrainedModel,
    teacher: Teacher,
) -> list[Minibatch]:
    """Minibatches with teacher scores; all but the first also with log pi_old.

    The first one's log pi_old falls out of its own first update, at unchanged weights.
    """
    # All at once: a server works on several batches at a time.
    scores = iter(teacher.score([batch for part in parts for batch in part]))
    minibatches = [
        [ScoredMicroBatch(batch, next(scores), None) for batch in part] for part in parts
    ]
    with whole_root(student):
        for minibatch in minibatches[1:]:
            for scored in minibatch:
                scored.old_log_probs_N = log_probs_of(student, scored.batch)
    return minibatches
