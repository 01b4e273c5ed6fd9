"""The policy-drift gate: position weights from how far each unit has drifted (arXiv 2606.24084).

Everything here is detached: the gate multiplies losses and passes no gradient.

Legend: N valid response tokens, in order of response and position; U gate units; S responses.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from service.jobs.loss_spec import (
    AdaptiveStrength,
    Aggregation,
    Direction,
    GateSpec,
    Granularity,
    Kernel,
    Normalization,
)

MAX_ABS_DRIFT_NATS = 20.0
MAX_EMPHASIS_EXPONENT = 20.0
MIN_MEAN_GATE = 1e-8
MIN_MEDIAN_DRIFT_NATS = 1e-6


@dataclass(frozen=True, slots=True)
class Units:
    """The gate units of N tokens: `unit_ids_N` in [0, U), and the response of each unit."""

    unit_ids_N: Tensor
    sequence_of_unit_U: Tensor

    @property
    def num_units(self) -> int:
        return len(self.sequence_of_unit_U)

    @property
    def sequence_ids_N(self) -> Tensor:
        return self.sequence_of_unit_U[self.unit_ids_N]

    def part(self, tokens: slice) -> "Units":
        """The units of some neighbouring tokens, which must not cut a unit."""
        unit_ids = self.unit_ids_N[tokens]
        first, last = int(unit_ids[0]), int(unit_ids[-1])
        sequences = self.sequence_of_unit_U[first : last + 1]
        return Units(unit_ids - first, sequences - sequences[0])


@dataclass(frozen=True, slots=True)
class Gate:
    """Position weights and what a user has to see of how they came about.

    weights_N: token-weighted mean 1 in every normalisation scope, 0 in a scope that closed.
    strength: τ in force, per nat.
    """

    weights_N: Tensor
    strength: float
    num_scopes_closed: int


def drift_nats(log_probs_cur_N: Tensor, log_probs_old_N: Tensor) -> Tensor:
    """log pi_cur − log pi_old of the sampled tokens [N], detached, clamped to ±20 nats."""
    drift_N = log_probs_cur_N.detach() - log_probs_old_N
    return drift_N.clamp(-MAX_ABS_DRIFT_NATS, MAX_ABS_DRIFT_NATS)


def gate_weights(drift_N: Tensor, units: Units, *, spec: GateSpec, shuffle_seed: int = 0) -> Gate:
    """The gate of a whole optimiser minibatch; Eq. 1 of arXiv 2606.24084 for the default spec."""
    drift_U = unit_drift(drift_N, units, aggregation=spec.aggregation)
    strength = strength_in_force(drift_U, spec=spec)
    gates_U = unit_gates(drift_U, spec=spec, strength=strength)
    if spec.direction is Direction.SHUFFLED:
        gates_U = shuffled(gates_U, units, spec=spec, seed=shuffle_seed)
    weights_N, num_closed = normalised(gates_U[units.unit_ids_N], units, spec=spec)
    return Gate(weights_N, strength, num_closed)


def partial_gates(drift_N: Tensor, units: Units, *, spec: GateSpec) -> Tensor:
    """Unnormalised gates [N], for a spec that needs no other units of the minibatch."""
    drift_U = unit_drift(drift_N, units, aggregation=spec.aggregation)
    strength = strength_in_force(drift_U, spec=spec)
    return unit_gates(drift_U, spec=spec, strength=strength)[units.unit_ids_N]


def needs_whole_minibatch(spec: GateSpec) -> bool:
    """Whether a unit's gate, before normalisation, depends on units of other micro-batches."""
    if spec.granularity is Granularity.NONE:
        return False  # every gate is 1, whatever the strength and the direction
    return isinstance(spec.strength, AdaptiveStrength) or spec.direction is Direction.SHUFFLED


def unit_drift(drift_N: Tensor, units: Units, *, aggregation: Aggregation) -> Tensor:
    """s [U] in nats; only the signed mean may be negative."""
    match aggregation:
        case Aggregation.SIGNED_MEAN:
            return _mean_by(drift_N, units.unit_ids_N, units.num_units)
        case Aggregation.MEAN_ABS:
            return _mean_by(drift_N.abs(), units.unit_ids_N, units.num_units)
        case Aggregation.RMS:
            return _mean_by(drift_N.square(), units.unit_ids_N, units.num_units).sqrt()
        case Aggregation.K3:
            return _mean_by(k3(drift_N), units.unit_ids_N, units.num_units)


def k3(drift_N: Tensor) -> Tensor:
    """e^d − 1 − d [N]: non-negative, 0 only without drift."""
    return drift_N.expm1() - drift_N


def strength_in_force(drift_U: Tensor, *, spec: GateSpec) -> float:
    """τ: the spec's, or c over the median of |s|, the mean of the middle two where U is even."""
    if not isinstance(spec.strength, AdaptiveStrength):
        return spec.strength
    size_U = drift_U.abs().sort().values
    middle = size_U[(len(size_U) - 1) // 2 : len(size_U) // 2 + 1]
    median = float(middle.mean()) if len(size_U) else 0.0
    return spec.strength.adaptive / max(median, MIN_MEDIAN_DRIFT_NATS)


def unit_gates(drift_U: Tensor, *, spec: GateSpec, strength: float) -> Tensor:
    """Unnormalised gates g [U], non-negative; 1 where a unit has not drifted."""
    if spec.granularity is Granularity.NONE:
        return torch.ones_like(drift_U)
    size_U = drift_U.abs()
    emphasise = spec.direction is Direction.EMPHASISE
    match spec.kernel:
        case Kernel.EXP if emphasise:
            return (strength * size_U).clamp(max=MAX_EMPHASIS_EXPONENT).exp()
        case Kernel.EXP:
            return (-strength * size_U).exp()
        case Kernel.RECIPROCAL if emphasise:
            return 1 + strength * size_U
        case Kernel.RECIPROCAL:
            return 1 / (1 + strength * size_U)
        case Kernel.HARD:
            return (size_U <= spec.threshold).to(drift_U.dtype)
        case Kernel.RATIO:
            low, high = spec.ratio_bounds
            return (strength * drift_U).exp().clamp(low, high)


def shuffled(gates_U: Tensor, units: Units, *, spec: GateSpec, seed: int) -> Tensor:
    """The gates dealt out anew over the units: over the minibatch, or within each response."""
    generator = torch.Generator().manual_seed(seed)
    order_U = torch.randperm(units.num_units, generator=generator).to(gates_U.device)
    if spec.normalization is not Normalization.SEQUENCE:
        return gates_U[order_U]
    # A stable sort by response keeps the random order inside each one.
    by_response_U = order_U[units.sequence_of_unit_U[order_U].argsort(stable=True)]
    in_place_U = units.sequence_of_unit_U.argsort(stable=True)
    dealt_U = torch.empty_like(gates_U)
    dealt_U[in_place_U] = gates_U[by_response_U]
    return dealt_U


def normalised(gates_N: Tensor, units: Units, *, spec: GateSpec) -> tuple[Tensor, int]:
    """g~ = g / (Σ m g / Σ m) [N] in the spec's scope, and how many scopes closed."""
    match spec.normalization:
        case Normalization.NONE:
            return gates_N, 0
        case Normalization.MINIBATCH:
            factor = scope_factors(gates_N.mean())
            return gates_N * factor, int(factor == 0)
        case Normalization.SEQUENCE:
            sequence_ids_N = units.sequence_ids_N
            num_sequences = int(sequence_ids_N.max()) + 1
            means_S = _mean_by(gates_N, sequence_ids_N, num_sequences)
            factors_S = scope_factors(means_S)
            is_closed_S = (factors_S == 0) & torch.isin(
                torch.arange(num_sequences, device=gates_N.device), sequence_ids_N
            )
            return gates_N * factors_S[sequence_ids_N], int(is_closed_S.sum())


def scope_factors(mean_gates: Tensor) -> Tensor:
    """1 / mean gate of each scope; 0 where it is below 1e-8 (a hard gate closed everything)."""
    is_closed = mean_gates < MIN_MEAN_GATE
    return torch.where(is_closed, 0.0, 1 / mean_gates.masked_fill(is_closed, 1.0))


def _mean_by(values_N: Tensor, group_ids_N: Tensor, num_groups: int) -> Tensor:
    """Mean of each group's values; 0 for a group without any."""
    sums = values_N.new_zeros(num_groups).index_add_(0, group_ids_N, values_N)
    counts = torch.bincount(group_ids_N, minlength=num_groups)
    return sums / counts.clamp(min=1)
