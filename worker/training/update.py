"""One optimiser update's loss and gradient over a minibatch, however it is cut into micro-batches.

L = Σ w l / Σ m. The gate's normaliser over the minibatch is one number, and gradients are linear in it: each
micro-batch is differentiated with unnormalised gates, and the accumulated gradients are scaled at the
end. Where a gate cannot be known inside a chunk, a forward-only pass comes first.

Several ranks each differentiate their share of the micro-batches in as many rounds, because each pass of a
sharded model needs all of them: what a gate or a reader needs of the whole minibatch is gathered.

Legend: N valid response tokens (of a micro-batch, or of the minibatch when concatenated).
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from service.jobs.loss_spec import (
    GateSpec,
    Granularity,
    Normalization,
    SampledTokenObjective,
    TeacherTopKObjective,
)
from service.jobs.spec import JobSpec
from worker.training.batching import MicroBatch, concatenated
from worker.training.distributed import ALONE, Ranks, dealt, in_rounds
from worker.training.distributed_sharding import whole_root
from worker.training.gate import (
    Gate,
    Units,
    drift_nats,
    gate_weights,
    needs_whole_minibatch,
    scope_factors,
    strength_in_force,
)
from worker.training.head import (
    HeadGradient,
    TeacherScores,
    chunk_tokens,
    even_chunks,
    head_weight,
    hidden_states,
    sampled_gradient,
    sampled_log_probs,
    support_gradient,
    support_mass,
)
from worker.training.losses import sampled_token_losses, support_matching_losses
from worker.training.weighing import Weighing, chunks_of_whole_units

# Without a gate, drift and support mass of teacher top-K are looked at on some tokens only where the
# vocabulary is large: a pass over the whole head for each of them would cost several updates.
LARGE_VOCABULARY = 8192
OBSERVED_EVERY = 16


@dataclass(slots=True)
class ScoredMicroBatch:
    """A micro-batch with its targets, kept over the reuse of its rollouts.

    old_log_probs_N: log pi_old of the sampled tokens, NaN where they are not looked at; None until the
    first update at the unchanged weights has computed them on its way.
    """

    batch: MicroBatch
    teacher: TeacherScores
    old_log_probs_N: Tensor | None


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    """What one update did, before the optimiser's step.

    num_tokens: valid tokens, all of which have a weight in the gate. drift_N and block_ids_N: of those that
    were looked at, which are all of them wherever a gate or a sampled-token loss needs them. abs_losses_N: of all,
    before the gate's weights, in float16.
    """

    loss: float
    num_tokens: int
    drift_N: Tensor
    gate: Gate
    block_ids_N: Tensor
    abs_losses_N: Tensor
    clip_fraction: float
    teacher_log_ratio: float
    support_mass: float | None


@dataclass(slots=True)
class Sums:
    """What is summed over the tokens of an update."""

    loss: float = 0.0
    clipped: float = 0.0
    teacher_log_ratio: float = 0.0
    support_mass: float = 0.0
    num_scopes_closed: int = 0

    def over(self, ranks: Ranks) -> "Sums":
        """Those of all ranks together."""
        return Sums(*map(sum, zip(*ranks.gathered(astuple(self)), strict=True)))


def accumulate_gradient(
    student: PreTrainedModel,
    minibatch: Sequence[ScoredMicroBatch],
    *,
    spec: JobSpec,
    shuffle_seed: int,
    ranks: Ranks = ALONE,
) -> UpdateOutcome:
    """Puts ∂L into the student's gradients, which must be empty; some token must be valid.

    minibatch: this rank's share, as many micro-batches on every rank; the outcome is of all shares.
    """
    num_tokens = num_tokens_of(minibatch, ranks=ranks)
    device = student.device
    with whole_root(student):
        known = _gate_beforehand(
            student, minibatch, spec=spec, shuffle_seed=shuffle_seed, ranks=ranks
        )
        head = HeadGradient(head_weight(student))
        sums, weighings = Sums(), []
        for place, scored in enumerate(minibatch):
            weighing = Weighing(
                scored.batch.units,
                scored.old_log_probs_N,
                spec=spec.gate,
                known_weights_N=known.of_share[place] if known else None,
            )
            weighings.append(weighing)
            if not scored.batch.num_tokens:
                _keep_in_step(student, scored.batch, ranks=ranks)
                continue
            _differentiate(student, head, scored, weighing, sums, spec=spec, num_tokens=num_tokens)
            if scored.old_log_probs_N is None:
                scored.old_log_probs_N = weighing.log_probs_N
            log_ratio_N = scored.old_log_probs_N - scored.teacher.log_probs_N
            sums.teacher_log_ratio += log_ratio_N[weighing.is_observed_N].sum().item()
            sums.num_scopes_closed += weighing.num_scopes_closed
        head.fold()
        seen = [
            (each.weights_N, each.drift_N, scored.batch.block_ids_N, each.abs_losses_N)
            for each, scored in zip(weighings, minibatch, strict=True)
        ]
        weights_N, drift_N, block_ids_N, abs_losses_N = (
            torch.cat(parts)
            for parts in zip(*in_rounds(seen, ranks=ranks, device=device), strict=True)
        )
        sums = sums.over(ranks)
        gate = known.gate if known else _normalise(student, sums, weights_N, spec=spec.gate)
    is_top_k = isinstance(spec.objective, TeacherTopKObjective)
    is_observed_N = ~drift_N.isnan()
    # None where every log-prob is NaN: then so is the loss, which is what the caller refuses.
    num_observed = max(1, int(is_observed_N.sum()))
    return UpdateOutcome(
        loss=sums.loss,
        num_tokens=num_tokens,
        drift_N=drift_N[is_observed_N],
        gate=gate,
        block_ids_N=block_ids_N[is_observed_N],
        abs_losses_N=abs_losses_N,
        clip_fraction=sums.clipped / num_tokens,
        teacher_log_ratio=sums.teacher_log_ratio / num_observed,
        support_mass=sums.support_mass / num_observed if is_top_k else None,
    )


def num_tokens_of(minibatch: Sequence[ScoredMicroBatch], *, ranks: Ranks) -> int:
    """Valid tokens of the shares of all ranks."""
    return sum(ranks.gathered(sum(scored.batch.num_tokens for scored in minibatch)))


def log_probs_of(student: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """Log pi [N] of the sampled tokens under the student as it is; forward only."""
    with torch.no_grad():
        hidden_NH = hidden_states(
            student, batch.input_ids_BS, batch.positions_N, packed_lengths=batch.packed_lengths
        )
    return sampled_log_probs(hidden_NH, head_weight(student), batch.tokens_N)


def _differentiate(
    student: PreTrainedModel,
    head: HeadGradient,
    scored: ScoredMicroBatch,
    weighing: Weighing,
    sums: Sums,
    *,
    spec: JobSpec,
    num_tokens: int,
) -> None:
    """Adds a micro-batch's ∂(Σ w l / num_tokens) to the student's gradients."""
    batch = scored.batch
    hidden_NH = hidden_states(
        student, batch.input_ids_BS, batch.positions_N, packed_lengths=batch.packed_lengths
    )
    if isinstance(spec.objective, SampledTokenObjective):
        grad_hidden_NH = _sampled_token_gradient(
            hidden_NH.detach(), head, scored, weighing, sums, spec=spec, num_tokens=num_tokens
        )
    else:
        grad_hidden_NH = _support_matching_gradient(
            hidden_NH.detach(), head, scored, weighing, sums, spec=spec, num_tokens=num_tokens
        )
    hidden_NH.backward(grad_hidden_NH)


def _sampled_token_gradient(
    hidden_NH: Tensor,
    head: HeadGradient,
    scored: ScoredMicroBatch,
    weighing: Weighing,
    sums: Sums,
    *,
    spec: JobSpec,
    num_tokens: int,
) -> Tensor:
    """Log-probs, gate, loss and gradients of a chunk are made while its logits are at hand."""
    objective, batch = spec.objective, scored.batch
    assert isinstance(objective, SampledTokenObjective)
    chunks = chunks_of_whole_units(
        batch.units, spec=spec.gate, max_tokens=chunk_tokens(head.weight)
    )

    def loss_of(chunk: slice, log_probs_C: Tensor) -> Tensor:
        old_N = scored.old_log_probs_N
        losses = sampled_token_losses(
            log_probs_C,
            log_probs_C.detach() if old_N is None else old_N[chunk],
            scored.teacher.log_probs_N[chunk],
            objective=objective,
        )
        weights_C = weighing.weights(chunk, log_probs_C)
        weighing.see_losses(losses.losses_N)
        loss = (weights_C * losses.losses_N).sum() / num_tokens
        sums.loss += loss.item()
        sums.clipped += losses.clipped_N.sum().item()
        return loss

    return sampled_gradient(
        hidden_NH,
        head,
        batch.tokens_N,
        chunks=chunks or even_chunks(batch.num_tokens, head.weight),
        loss_of=loss_of,
    )


def _support_matching_gradient(
    hidden_NH: Tensor,
    head: HeadGradient,
    scored: ScoredMicroBatch,
    weighing: Weighing,
    sums: Sums,
    *,
    spec: JobSpec,
    num_tokens: int,
) -> Tensor:
    """The gate needs the sampled token's log-prob, which the support does not give: one pass more."""
    batch, teacher = scored.batch, scored.teacher
    assert teacher.support_NK is not None
    assert teacher.support_log_probs_NK is not None
    teacher_log_probs_NK = teacher.support_log_probs_NK
    log_probs_N = _observed_log_probs(hidden_NH, head.weight, batch.tokens_N, gate=spec.gate)
    weights_N = weighing.weights(slice(0, batch.num_tokens), log_probs_N)

    def loss_of(chunk: slice, logits_CK: Tensor) -> Tensor:
        losses_C = support_matching_losses(logits_CK, teacher_log_probs_NK[chunk])
        weighing.see_losses(losses_C)
        loss = (weights_N[chunk] * losses_C).sum() / num_tokens
        sums.loss += loss.item()
        mass_C = support_mass(
            hidden_NH[chunk],
            head.weight,
            batch.tokens_N[chunk],
            log_probs_N=log_probs_N[chunk],
            support_logits_NK=logits_CK,
        )
        sums.support_mass += mass_C.nansum().item()
        return loss

    return support_gradient(hidden_NH, head, teacher.support_NK, loss_of=loss_of)


def _observed_log_probs(
    hidden_NH: Tensor, head_VH: Tensor, tokens_N: Tensor, *, gate: GateSpec
) -> Tensor:
    """Log pi [N] of the sampled tokens; NaN where nothing needs it and nobody looks."""
    is_needed = gate.granularity is not Granularity.NONE
    observed = slice(0, None, 1 if is_needed or len(head_VH) < LARGE_VOCABULARY else OBSERVED_EVERY)
    observed_N = sampled_log_probs(hidden_NH[observed], head_VH, tokens_N[observed])
    log_probs_N = observed_N.new_full((len(tokens_N),), float("nan"))
    log_probs_N[observed] = observed_N
    return log_probs_N


@dataclass(frozen=True, slots=True)
class _KnownGate:
    """A gate found beforehand, and its weights by micro-batch of this rank's share."""

    gate: Gate
    of_share: Sequence[Tensor]


def _gate_beforehand(
    student: PreTrainedModel,
    minibatch: Sequence[ScoredMicroBatch],
    *,
    spec: JobSpec,
    shuffle_seed: int,
    ranks: Ranks,
) -> _KnownGate | None:
    """The whole gate by a forward-only pass, where it cannot be known chunk by chunk.

    At unchanged weights nothing has drifted and every gate is 1, so nothing needs to be known.
    """
    is_wanted = any(scored.old_log_probs_N is not None for scored in minibatch)
    is_wanted = is_wanted and _needs_forward_pass(student, minibatch, spec=spec)
    if not any(ranks.gathered(is_wanted)):
        return None
    drifts = []
    for scored in minibatch:
        units, log_probs_N = scored.batch.units, log_probs_of(student, scored.batch)
        old_N = log_probs_N if scored.old_log_probs_N is None else scored.old_log_probs_N
        drift_N = drift_nats(log_probs_N, old_N)
        drifts.append((drift_N, units.unit_ids_N, units.sequence_of_unit_U))
    everyones = in_rounds(drifts, ranks=ranks, device=student.device)
    gate = gate_weights(
        torch.cat([drift_N for drift_N, _, _ in everyones]),
        concatenated([Units(ids_N, sequences_U) for _, ids_N, sequences_U in everyones]),
        spec=spec.gate,
        shuffle_seed=shuffle_seed,
    )
    by_micro_batch = gate.weights_N.split([len(drift_N) for drift_N, _, _ in everyones])
    return _KnownGate(gate, dealt(by_micro_batch, ranks))


def _needs_forward_pass(
    student: PreTrainedModel, minibatch: Sequence[ScoredMicroBatch], *, spec: JobSpec
) -> bool:
    if needs_whole_minibatch(spec.gate):
        return True
    if isinstance(spec.objective, TeacherTopKObjective):
        return False  # its log-probs come from a pass of their own, before the loss
    max_tokens = chunk_tokens(head_weight(student))
    return any(
        chunks_of_whole_units(scored.batch.units, spec=spec.gate, max_tokens=max_tokens) is None
        for scored in minibatch
    )


def _keep_in_step(student: PreTrainedModel, batch: MicroBatch, *, ranks: Ranks) -> None:
    """Without a token to train on: the passes that the other ranks' sharded layers need of this one."""
    if ranks.num_ranks > 1:
        hidden_NH = hidden_states(
            student, batch.input_ids_BS, batch.positions_N, packed_lengths=batch.packed_lengths
        )
        hidden_NH.backward(torch.zeros_like(hidden_NH))


def _normalise(student: PreTrainedModel, sums: Sums, weights_N: Tensor, *, spec: GateSpec) -> Gate:
    """Applies the minibatch's normaliser to this rank's gradients, and to loss and weights of all."""
    num_closed = sums.num_scopes_closed
    if spec.normalization is Normalization.MINIBATCH:
        factor = float(scope_factors(weights_N.mean()))
        for parameter in student.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
        sums.loss *= factor
        weights_N = weights_N * factor
        num_closed += int(factor == 0)
    return Gate(weights_N, strength_in_force(weights_N.new_zeros(0), spec=spec), num_closed)
