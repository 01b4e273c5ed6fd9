"""Gate what-if: another gate put over the updates of a job whose drift was kept token by token. Nothing is trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.diagnostics_spec import steps_with_token_drift
from service.jobs.gate_simulations import (
    INERT_BELOW,
    SUGGESTED_DAMPING,
    GateEffect,
    GateEffectAtDepth,
    GateEffectOnUpdate,
    GateSimulation,
    SuggestedStrength,
)
from service.jobs.loss_spec import Direction, GateSpec, Granularity, Kernel, TeacherTopKObjective
from service.jobs.parsing import parse_request
from service.jobs.results import Job
from service.jobs.seeds import derive_seed
from service.jobs.spec import JobSpec
from service.statistics.gate_effect import WeightSums, weight_sums
from service.statistics.gate_simulation import (
    MIN_MEDIAN_DRIFT_NATS,
    SimulatedGate,
    simulated_gate,
    unit_gates,
)
from service.statistics.token_drift import token_drift_of
from service.storage.result_store import ResultStore
from service.storage.token_drifts import KeptUpdate

UPDATES_PER_READ = 8  # each is up to 136 kB

COUNTERFACTUAL = (
    "This is what the gate would have done to these updates as they were. A gate changes the weights and so every update "
    "after it: what training under it would have become, only training shows."
)
DEALT_ANEW = "The gates are dealt out by another generator than the trainer's: one more deal of the same gates."


def simulate_gate(
    job: Job, changes: Mapping[str, object], *, result_store: ResultStore
) -> GateSimulation:
    """The job's own gate with `changes`, fields of a `GateSpec`, over every update that was kept.

    Raises INVALID_ARGUMENT for a gate that is none, NO_TOKEN_DRIFT where no update was kept.
    """
    spec = _spec_with_gate(job)
    gate = changed_gate(job, changes)
    seen = _Seen(spec, gate)
    for kept in _kept_updates(job.id, result_store):
        seen.add(kept)
    if not seen.updates:
        raise _not_kept(job, _why_not_kept(job, spec))
    suggested = _suggested_strength(seen)
    return GateSimulation(
        job_id=job.id,
        gate=gate,
        inert_below=INERT_BELOW,
        overall=GateEffect(**_effect(sum(seen.sums_by_depth.values(), WeightSums()))),
        by_reuse_depth=tuple(
            GateEffectAtDepth(
                **_effect(sums),
                reuse_depth=depth,
                num_updates=sum(update.reuse_depth == depth for update in seen.updates),
            )
            for depth, sums in sorted(seen.sums_by_depth.items())
        ),
        updates=tuple(seen.updates),
        suggested_strength=suggested,
        notes=tuple(_notes(seen, is_suggested=suggested is not None)),
    )


def changed_gate(job: Job, changes: Mapping[str, object]) -> GateSpec:
    """The job's own gate with `changes`. Raises INVALID_ARGUMENT for a gate that is none.

    A hard gate ignores the strength, so an adaptive one of the job's own is no reason to refuse it.
    """
    fields = _spec_with_gate(job).gate.model_dump()
    if changes.get("kernel") == Kernel.HARD:
        del fields["strength"]
    return parse_request(GateSpec, fields | dict(changes))


def _spec_with_gate(job: Job) -> JobSpec:
    if not isinstance(job.spec, JobSpec):
        raise _not_kept(job, f"it is of kind {job.spec.kind}, and only a distillation has drift")
    return job.spec


def _kept_updates(job_id: str, result_store: ResultStore) -> Iterator[KeptUpdate]:
    """A few at a time, with no session open while they are looked at."""
    after = 0
    while found := result_store.token_drifts(job_id, after_update=after, limit=UPDATES_PER_READ):
        yield from found
        after = found[-1].update


@dataclass
class _Seen:
    """What has been gathered of a job's kept updates under one gate.

    later_sizes: |s| of the units of each update after the first of its step; in single precision, there may be
    eight million.
    """

    spec: JobSpec
    gate: GateSpec
    updates: list[GateEffectOnUpdate] = field(default_factory=list)
    sums_by_depth: dict[int, WeightSums] = field(default_factory=dict)
    later_sizes: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, kept: KeptUpdate) -> None:
        reuse = self.spec.reuse
        depth = (kept.update - 1) % (reuse.epochs * reuse.minibatches) + 1
        drift = token_drift_of(kept.drift)
        gate = simulated_gate(
            drift,
            spec=self.gate,
            shuffle_seed=derive_seed("gate-shuffle", self.spec.seed, kept.update),
        )
        sums = weight_sums(gate.weights_N, drift.abs_losses_N, num_units=len(gate.unit_drift_U))
        self.sums_by_depth[depth] = self.sums_by_depth.get(depth, WeightSums()) + sums
        self.updates.append(
            GateEffectOnUpdate(
                **_effect(sums),
                update=kept.update,
                step=kept.step,
                attempt=kept.attempt,
                reuse_depth=depth,
                minibatch=kept.drift.minibatch,
                num_responses=len(drift.lengths_R),
                num_responses_left_out=kept.drift.num_responses_left_out,
                mean_abs_drift_nats=float(np.abs(drift.drift_N).mean()),
                strength=gate.strength,
                num_scopes_closed=gate.num_scopes_closed,
            )
        )
        if depth > 1:
            self.later_sizes.append(_sizes(gate))


def _sizes(gate: SimulatedGate) -> NDArray[np.float32]:
    return np.abs(gate.unit_drift_U).astype(np.float32)


def _effect(sums: WeightSums) -> dict[str, float]:
    """The fields of a `GateEffect`."""
    share = sums.share_of_loss_moved
    return {
        "num_tokens": sums.num_tokens,
        "num_units": sums.num_units,
        "gate_std": sums.standard_deviation,
        "gate_min": sums.smallest,
        "gate_max": sums.largest,
        "effective_sample_size": sums.effective_sample_size,
        "share_of_loss_moved": share,
        "inert": share < INERT_BELOW,
    }


def _suggested_strength(seen: _Seen) -> SuggestedStrength | None:
    """None where the gate has no strength, or where its median unit has not drifted."""
    if _has_no_strength(seen.gate) or not seen.later_sizes:
        return None
    sizes = np.concatenate(seen.later_sizes)
    median = float(np.median(sizes))
    if median < MIN_MEDIAN_DRIFT_NATS:
        return None
    strength = SUGGESTED_DAMPING / median
    (median_unit_gate,) = unit_gates(np.array([median]), spec=seen.gate, strength=strength)
    return SuggestedStrength(
        strength=strength,
        adaptive=SUGGESTED_DAMPING,
        median_drift_nats=median,
        median_unit_gate=float(median_unit_gate),
        num_units=len(sizes),
    )


def _has_no_strength(gate: GateSpec) -> bool:
    return gate.granularity is Granularity.NONE or gate.kernel is Kernel.HARD


def _notes(seen: _Seen, *, is_suggested: bool) -> Iterator[str]:
    yield COUNTERFACTUAL
    num_left_out = sum(update.num_responses_left_out for update in seen.updates)
    if num_left_out:
        num_responses = num_left_out + sum(update.num_responses for update in seen.updates)
        yield (
            f"{num_left_out:,} of {num_responses:,} responses were too many tokens to keep, so what a gate takes from the "
            f"whole minibatch (its normalisation, an adaptive strength) is taken from the others."
        )
    if seen.gate.direction is Direction.SHUFFLED and seen.gate.granularity is not Granularity.NONE:
        yield DEALT_ANEW
    if seen.gate.granularity is Granularity.NONE:
        yield "granularity none has no gate, so there is no strength to suggest."
    elif seen.gate.kernel is Kernel.HARD:
        yield "A hard gate has no strength, so none is suggested: its threshold decides."
    elif not seen.later_sizes:
        yield "No update after the first of its step was kept, and at the first nothing has drifted: no strength is suggested."
    elif not is_suggested:
        yield f"The median unit drifted by less than {MIN_MEDIAN_DRIFT_NATS:g} nats: no strength is suggested."


def _why_not_kept(job: Job, spec: JobSpec) -> str:
    wanted, reuse = spec.diagnostics.token_drift_updates, spec.reuse
    updates_per_step = reuse.epochs * reuse.minibatches
    steps = steps_with_token_drift(
        steps=spec.steps, updates_per_step=updates_per_step, max_updates=wanted
    )
    if wanted == 0:
        return "diagnostics.token_drift_updates is 0"
    if not steps:
        return (
            f"a step has {updates_per_step} updates and only whole steps are kept, but "
            f"diagnostics.token_drift_updates is {wanted}"
        )
    if job.progress.update <= (min(steps) - 1) * updates_per_step:
        return f"the first step that is kept is {min(steps)}, and it has not begun"
    if (
        isinstance(spec.objective, TeacherTopKObjective)
        and spec.gate.granularity is Granularity.NONE
    ):
        return "without a gate, drift under teacher top-K is looked at on some tokens only where the vocabulary is large"
    return "it was trained before drift was kept, or no response was short enough to be kept whole"


def _not_kept(job: Job, reason: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.NO_TOKEN_DRIFT,
        f"Job {job.id} has no drift by token to put a gate over: {reason}.",
        [
            Violation(
                "job_id",
                job.id,
                "a distillation that keeps drift (diagnostics.token_drift_updates) and has come to a step that it keeps",
            )
        ],
    )
