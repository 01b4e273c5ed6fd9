"""The gradient of the reverse KL over the whole vocabulary: what both objectives estimate, with nothing left to chance.

L = 1/N Σ_t Σ_v pi(v) [log pi(v) − log q(v)] at the positions of given responses. The tokens before a position count as
given: as in both objectives, no gradient flows through their having been sampled.

Legend: N valid response tokens; C tokens of a chunk; H hidden; V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from worker.training.batching import MicroBatch
from worker.training.head import HeadGradient, chunk_tokens, head_weight, hidden_states
from worker.training.logits import LogitsOfChunks
from worker.training.offload import present

# [C, V] tensors that a chunk has at once: together they take no more room than the one of another loss.
TENSORS_OF_A_CHUNK = 6


def accumulate_reverse_kl_gradient(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batches: Sequence[MicroBatch],
    *,
    num_tokens: int,
) -> float:
    """Adds ∂L of these batches to the student's gradients, and returns their share of L, in nats.

    num_tokens: N of the mean, which may be of more batches than these.
    """
    head, total = HeadGradient(head_weight(student)), 0.0
    with present(teacher):
        for batch in batches:
            if not batch.num_tokens:
                continue
            hidden_NH = hidden_states_of(student, batch)
            with torch.no_grad():
                teacher_NH = hidden_states_of(teacher, batch)
                grad_NH, share = _gradient_of_chunks(
                    hidden_NH.detach(),
                    head,
                    teacher_NH,
                    head_weight(teacher).detach(),
                    num_tokens=num_tokens,
                )
            hidden_NH.backward(grad_NH)
            total += share
    head.fold()
    return total


def _gradient_of_chunks(
    hidden_NH: Tensor,
    head: HeadGradient,
    teacher_NH: Tensor,
    teacher_head_VH: Tensor,
    *,
    num_tokens: int,
) -> tuple[Tensor, float]:
    """∂L/∂hidden [N, H] and these tokens' share of L; the head's gradient goes to `head`.

    With l = log pi − log q, ∂(Σ_v pi l) / ∂ logits = pi (l − Σ_v pi l).
    """
    grad_NH, total = torch.empty_like(hidden_NH), 0.0
    logits, teacher_logits = LogitsOfChunks(head.weight), LogitsOfChunks(teacher_head_VH)
    size = max(1, chunk_tokens(head.weight) // TENSORS_OF_A_CHUNK)
    for start in range(0, len(hidden_NH), size):
        chunk = slice(start, start + size)
        log_probs_CV = logits.of(hidden_NH[chunk]).log_softmax(dim=-1)
        log_ratio_CV = log_probs_CV - teacher_logits.of(teacher_NH[chunk]).log_softmax(dim=-1)
        probs_CV = log_probs_CV.exp_()
        kl_C1 = (probs_CV * log_ratio_CV).sum(dim=-1, keepdim=True)
        total += kl_C1.sum().item() / num_tokens
        slope_CV = log_ratio_CV.sub_(kl_C1).mul_(probs_CV).div_(num_tokens)
        slope_CV = slope_CV.to(hidden_NH.dtype)
        grad_NH[chunk] = slope_CV @ head.weight
        head.add_product(slope_CV, hidden_NH[chunk])
    return grad_NH, total


def hidden_states_of(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """[N, H] at the positions that predict the valid tokens."""
    return hidden_states(
        model, batch.input_ids_BS, batch.positions_N, packed_lengths=batch.packed_lengths
    )
