"""How far the student is from the teacher on fresh responses: Σ_v pi(v) [log pi(v) − log q(v)] at every valid token.

Forward passes only: no weight, no gradient and no random stream of the training is touched. With a teacher whose
weights are here, the sum over the vocabulary is taken; of one on a server only log pi − log q of the sampled tokens is
known, which has the same mean on responses sampled from pi itself.

Legend: B responses; N valid response tokens; C tokens of a chunk; H hidden; V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from service.jobs.records import KlEstimator
from worker.training.batching import MicroBatch
from worker.training.distributed_sharding import whole_root
from worker.training.full_vocabulary import hidden_states_of
from worker.training.head import chunk_tokens, head_weight
from worker.training.logits import LogitsOfChunks
from worker.training.offload import present
from worker.training.teacher import LocalTeacher, Teacher
from worker.training.update import log_probs_of

# A chunk has the logits of two models, and for a moment the exponentials of one.
LOGITS_OF_A_CHUNK = 3


@dataclass(frozen=True, slots=True)
class ResponseKl:
    """Of one response: nats summed over its valid tokens, and how many these are."""

    nats: float
    num_tokens: int


def estimator_of(teacher: Teacher) -> KlEstimator:
    """What can be known of the teacher."""
    is_here = isinstance(teacher, LocalTeacher)
    return KlEstimator.FULL_VOCABULARY if is_here else KlEstimator.SAMPLED_TOKEN


@torch.no_grad()
def reverse_kl_of_responses(
    batches: Sequence[MicroBatch], *, student: PreTrainedModel, teacher: Teacher
) -> list[ResponseKl]:
    """One for each response that has a valid token, in the order of the micro-batches' rows.

    The models may be sharded: then all ranks call at once, each with as many micro-batches.
    """
    with whole_root(student):
        if isinstance(teacher, LocalTeacher):
            kls = _full_vocabulary(batches, student=student, teacher=teacher.model)
        else:
            kls = [
                log_probs_of(student, batch) - scores.log_probs_N
                for batch, scores in zip(batches, teacher.score(batches), strict=True)
            ]
    return [
        of_response
        for batch, kl_N in zip(batches, kls, strict=True)
        for of_response in _by_response(batch, kl_N)
    ]


def full_vocabulary_kl(
    hidden_NH: Tensor, head_VH: Tensor, teacher_hidden_NH: Tensor, teacher_head_VH: Tensor
) -> Tensor:
    """The student's reverse KL to the teacher [N], nats, at positions of which both models' hidden states are given.

    A token that the student rules out adds nothing, whatever the teacher says of it.
    """
    logits, teacher_logits = LogitsOfChunks(head_VH), LogitsOfChunks(teacher_head_VH)
    size = max(1, chunk_tokens(head_VH) // LOGITS_OF_A_CHUNK)
    kls = []
    for start in range(0, len(hidden_NH), size):
        chunk = slice(start, start + size)
        log_probs_CV = _log_softmax_spending(logits.of(hidden_NH[chunk]))
        teacher_CV = _log_softmax_spending(teacher_logits.of(teacher_hidden_NH[chunk]))
        log_ratios_CV = teacher_CV.neg_().add_(log_probs_CV)
        probs_CV = log_probs_CV.exp_()
        log_ratios_CV.masked_fill_(probs_CV == 0, 0.0)
        kls.append(log_ratios_CV.mul_(probs_CV).sum(dim=-1))
    return torch.cat(kls) if kls else hidden_NH.new_empty(0)


def _full_vocabulary(
    batches: Sequence[MicroBatch], *, student: PreTrainedModel, teacher: PreTrainedModel
) -> list[Tensor]:
    """Of each micro-batch [N]. One without a valid token is passed through all the same, for the other ranks' sake."""
    with present(teacher), whole_root(teacher):
        return [
            full_vocabulary_kl(
                hidden_states_of(student, batch),
                head_weight(student),
                hidden_states_of(teacher, batch),
                head_weight(teacher),
            )
            for batch in batches
        ]


def _log_softmax_spending(logits_CV: Tensor) -> Tensor:
    """In the memory of the logits, which are lost."""
    return logits_CV.sub_(logits_CV.logsumexp(dim=-1, keepdim=True))


def _by_response(batch: MicroBatch, kl_N: Tensor) -> list[ResponseKl]:
    """Sums in float64, on the CPU, where they are always taken in one order."""
    num_responses = len(batch.sequence_lengths)
    response_N = batch.units.sequence_of_unit_U[batch.units.unit_ids_N].cpu()
    nats_B = torch.zeros(num_responses, dtype=torch.float64)
    nats_B.index_add_(0, response_N, kl_N.to("cpu", torch.float64))
    num_tokens_B = response_N.bincount(minlength=num_responses)
    return [
        ResponseKl(nats, num_tokens)
        for nats, num_tokens in zip(nats_B.tolist(), num_tokens_B.tolist(), strict=True)
        if num_tokens
    ]
