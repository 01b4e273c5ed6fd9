"""What the product's loss head is compared with, on the same tokens, each run forward and backward.

`naive` is full logits and autograd with the product's own gate and loss functions.
"""

import torch
from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss
from torch import Tensor
from trl.trainer.distillation_trainer import _chunked_divergence_loss

from benchmarks.trainer.head_problem import BLOCK_GATE, HeadProblem
from service.jobs.loss_spec import SampledTokenObjective
from worker.training.gate import drift_nats, gate_weights
from worker.training.head import HeadGradient, support_gradient
from worker.training.losses import sampled_token_losses, support_matching_losses


def naive_sampled(problem: HeadProblem, objective: SampledTokenObjective) -> None:
    """The gated sampled-token loss over full logits."""
    log_probs_N = _naive_log_probs(_logits(problem), problem)
    losses = sampled_token_losses(
        log_probs_N, problem.old_log_probs_N, problem.teacher.log_probs_N, objective=objective
    )
    weights_N = _naive_weights(log_probs_N, problem)
    ((weights_N * losses.losses_N).sum() / problem.num_tokens).backward()


def naive_top_k(problem: HeadProblem) -> None:
    """The ungated teacher top-K loss over full logits."""
    (_naive_support_losses(_logits(problem), problem).sum() / problem.num_tokens).backward()


def naive_top_k_gated(problem: HeadProblem) -> None:
    """The gated teacher top-K loss over full logits."""
    logits_NV = _logits(problem)
    with torch.no_grad():
        log_probs_N = _naive_log_probs(logits_NV, problem)
    weights_N = _naive_weights(log_probs_N, problem)
    losses_N = _naive_support_losses(logits_NV, problem)
    ((weights_N * losses_N).sum() / problem.num_tokens).backward()


def support_only(problem: HeadProblem) -> None:
    """The product's ungated top-K head by itself: loss and gradients, nothing recorded."""
    student = problem.student
    assert problem.teacher.support_NK is not None
    assert problem.teacher.support_log_probs_NK is not None
    targets_NK = problem.teacher.support_log_probs_NK
    student.hidden_1NH.grad = support_gradient(
        student.hidden_1NH.detach()[0],
        HeadGradient(student.head_VH),
        problem.teacher.support_NK,
        loss_of=lambda chunk, logits_CK: (
            support_matching_losses(logits_CK, targets_NK[chunk]).sum() / problem.num_tokens
        ),
    )[None]


def trl_divergence(problem: HeadProblem) -> None:
    """Reverse KL of both heads over the whole vocabulary, called as TRL's own trainer calls it."""
    loss, _entropy, _num_valid = _chunked_divergence_loss(
        problem.student.hidden_1NH,
        problem.teacher_hidden_NH[None],
        problem.student.head_VH,
        problem.teacher_head_VH,
        torch.ones(1, problem.num_tokens, dtype=torch.long),
        beta=1.0,
        num_items_in_batch=problem.num_tokens,
    )
    loss.backward()


def liger_divergence(problem: HeadProblem) -> None:
    """Reverse KL by Liger's chunked loss, without compilation (its only way on a CPU)."""
    loss_of = LigerFusedLinearJSDLoss(
        weight_hard_loss=0.0, weight_soft_loss=1.0, beta=1.0, compiled=False, chunk_size=128
    )
    loss_of(
        problem.student.hidden_1NH[0],
        problem.student.head_VH,
        problem.teacher_hidden_NH,
        problem.teacher_head_VH,
        problem.batch.tokens_N,
    ).backward()


def bare_products(problem: HeadProblem) -> None:
    """The three products of forward and backward, whole, and nothing else."""
    hidden_NH, head_VH = problem.student.hidden_1NH.detach()[0], problem.student.head_VH.detach()
    logits_NV = hidden_NH @ head_VH.T
    _ = logits_NV @ head_VH
    _ = logits_NV.T @ hidden_NH


def _logits(problem: HeadProblem) -> Tensor:
    return problem.student.hidden_1NH[0] @ problem.student.head_VH.T


def _naive_log_probs(logits_NV: Tensor, problem: HeadProblem) -> Tensor:
    return torch.log_softmax(logits_NV, dim=-1).gather(1, problem.batch.tokens_N[:, None])[:, 0]


def _naive_weights(log_probs_N: Tensor, problem: HeadProblem) -> Tensor:
    drift_N = drift_nats(log_probs_N, problem.old_log_probs_N)
    return gate_weights(drift_N, problem.batch.units, spec=BLOCK_GATE).weights_N


def _naive_support_losses(logits_NV: Tensor, problem: HeadProblem) -> Tensor:
    teacher = problem.teacher
    assert teacher.support_NK is not None
    assert teacher.support_log_probs_NK is not None
    return support_matching_losses(
        logits_NV.gather(1, teacher.support_NK), teacher.support_log_probs_NK
    )
