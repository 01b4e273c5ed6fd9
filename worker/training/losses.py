"""Position losses of both objectives: pure tensor functions, in nats, before any weight.

Legend: N valid response tokens; K teacher support.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from service.jobs.loss_spec import Advantage, SampledTokenObjective

MAX_LOG_RATIO_NATS = 20.0  # exp of more would be 0 · inf in the backward pass


@dataclass(frozen=True, slots=True)
class PositionLosses:
    """l [N] with gradient; which of them have a gradient zeroed by a clip [N]."""

    losses_N: Tensor
    clipped_N: Tensor


def sampled_token_losses(
    log_probs_cur_N: Tensor,
    log_probs_old_N: Tensor,
    teacher_log_probs_N: Tensor,
    *,
    objective: SampledTokenObjective,
) -> PositionLosses:
    """max(−A r, −A clip(r, 1 ± ε)), at negative A bounded by −c A (PPO with dual clip)."""
    advantage_N = _advantage(log_probs_cur_N, log_probs_old_N, teacher_log_probs_N, objective)
    log_ratio_N = log_probs_cur_N - log_probs_old_N
    ratio_N = log_ratio_N.clamp(-MAX_LOG_RATIO_NATS, MAX_LOG_RATIO_NATS).exp()
    losses_N = -advantage_N * ratio_N
    clipped_N = torch.zeros_like(losses_N, dtype=torch.bool)
    if objective.clip_range is not None:
        low, high = 1 - objective.clip_range, 1 + objective.clip_range
        clipped_losses_N = -advantage_N * ratio_N.clamp(low, high)
        outside_N = (ratio_N < low) | (ratio_N > high)
        clipped_N = outside_N & (clipped_losses_N > losses_N).detach()
        losses_N = torch.maximum(losses_N, clipped_losses_N)
    if objective.dual_clip is not None:
        bound_N = -objective.dual_clip * advantage_N
        bounded_N = (advantage_N < 0) & (losses_N.detach() > bound_N)
        clipped_N = clipped_N | bounded_N
        losses_N = torch.where(bounded_N, bound_N, losses_N)
    return PositionLosses(losses_N, clipped_N)


def _advantage(
    log_probs_cur_N: Tensor,
    log_probs_old_N: Tensor,
    teacher_log_probs_N: Tensor,
    objective: SampledTokenObjective,
) -> Tensor:
    match objective.advantage:
        case Advantage.FROZEN:
            return teacher_log_probs_N - log_probs_old_N
        case Advantage.RECOMPUTED:
            return teacher_log_probs_N - log_probs_cur_N.detach()
        case Advantage.CONSTANT:
            return torch.full_like(log_probs_old_N, -1.0)


def support_matching_losses(student_logits_NK: Tensor, teacher_log_probs_NK: Tensor) -> Tensor:
    """Σ_v pi^(v) [log pi^(v) − log q^(v)] [N] over the teacher's support, both renormalised there.

    teacher_log_probs_NK: log-probabilities or logits; only their differences within a row matter.
    """
    student_NK = torch.log_softmax(student_logits_NK, dim=-1)
    teacher_NK = torch.log_softmax(teacher_log_probs_NK, dim=-1)
    return (student_NK.exp() * (student_NK - teacher_NK)).sum(dim=-1)
