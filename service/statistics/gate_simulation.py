"""A gate put over drift that was kept: the weights that it would have given, without torch.

The same as the trainer's gate (arXiv 2606.24084, Eq. 1 by default), but for the `shuffled` direction, which deals the same
gates out by another generator.

Legend: N valid response tokens, in order of response and position; R responses; U gate units.
"""

from dataclasses import dataclass

import numpy as np

from service.jobs.loss_spec import (
    AdaptiveStrength,
    Aggregation,
    Direction,
    GateSpec,
    Granularity,
    Kernel,
    Normalization,
)
from service.statistics.gate_units import GateUnits, gate_units
from service.statistics.token_drift import Integers, Reals, TokenDrift

MAX_ABS_DRIFT_NATS = 20.0
MAX_EMPHASIS_EXPONENT = 20.0
MIN_MEAN_GATE = 1e-8
MIN_MEDIAN_DRIFT_NATS = 1e-6


@dataclass(frozen=True, slots=True)
class SimulatedGate:
    """weights_N: mean 1 in every normalisation scope, 0 in a scope that closed. strength: τ in force, per nat.

    unit_drift_U: s in nats; only the signed mean may be negative.
    """

    weights_N: Reals
    unit_drift_U: Reals
    strength: float
    num_scopes_closed: int


def simulated_gate(drift: TokenDrift, *, spec: GateSpec, shuffle_seed: int = 0) -> SimulatedGate:
    """The gate of an optimiser minibatch whose tokens are all in `drift`; some token is."""
    units = gate_units(drift, spec=spec)
    drift_N = drift.drift_N.clip(-MAX_ABS_DRIFT_NATS, MAX_ABS_DRIFT_NATS)
    drift_U = _unit_drift(drift_N, units, aggregation=spec.aggregation)
    strength = _strength_in_force(drift_U, spec=spec)
    gates_U = unit_gates(drift_U, spec=spec, strength=strength)
    if spec.direction is Direction.SHUFFLED:
        gates_U = _shuffled(gates_U, units, spec=spec, seed=shuffle_seed)
    weights_N, num_closed = _normalised(gates_U[units.unit_ids_N], units, spec=spec)
    return SimulatedGate(weights_N, drift_U, strength, num_closed)


def unit_gates(drift_U: Reals, *, spec: GateSpec, strength: float) -> Reals:
    """Unnormalised gates g [U], non-negative; 1 where a unit has not drifted."""
    if spec.granularity is Granularity.NONE:
        return np.ones_like(drift_U)
    size_U = np.abs(drift_U)
    emphasise = spec.direction is Direction.EMPHASISE
    match spec.kernel:
        case Kernel.EXP if emphasise:
            return np.exp(np.minimum(strength * size_U, MAX_EMPHASIS_EXPONENT))
        case Kernel.EXP:
            return np.exp(-strength * size_U)
        case Kernel.RECIPROCAL if emphasise:
            return 1 + strength * size_U
        case Kernel.RECIPROCAL:
            return 1 / (1 + strength * size_U)
        case Kernel.HARD:
            return (size_U <= spec.threshold).astype(np.float64)
        case Kernel.RATIO:
            with np.errstate(over="ignore"):  # the bounds are finite
                return np.exp(strength * drift_U).clip(*spec.ratio_bounds)


def _unit_drift(drift_N: Reals, units: GateUnits, *, aggregation: Aggregation) -> Reals:
    match aggregation:
        case Aggregation.SIGNED_MEAN:
            return _mean_by(drift_N, units.unit_ids_N)
        case Aggregation.MEAN_ABS:
            return _mean_by(np.abs(drift_N), units.unit_ids_N)
        case Aggregation.RMS:
            return np.sqrt(_mean_by(np.square(drift_N), units.unit_ids_N))
        case Aggregation.K3:
            return _mean_by(np.expm1(drift_N) - drift_N, units.unit_ids_N)


def _strength_in_force(drift_U: Reals, *, spec: GateSpec) -> float:
    if not isinstance(spec.strength, AdaptiveStrength):
        return spec.strength
    return spec.strength.adaptive / max(float(np.median(np.abs(drift_U))), MIN_MEDIAN_DRIFT_NATS)


def _shuffled(gates_U: Reals, units: GateUnits, *, spec: GateSpec, seed: int) -> Reals:
    """Over the minibatch, or within each response."""
    order_U = np.random.default_rng(seed).permutation(units.num_units)
    if spec.normalization is Normalization.SEQUENCE:
        # A stable sort by response keeps the random order inside each one; the units stand by response.
        order_U = order_U[units.response_of_unit_U[order_U].argsort(kind="stable")]
    return gates_U[order_U]


def _normalised(gates_N: Reals, units: GateUnits, *, spec: GateSpec) -> tuple[Reals, int]:
    """g~ = g / (Σ m g / Σ m) in the spec's scope, and how many scopes closed."""
    match spec.normalization:
        case Normalization.NONE:
            return gates_N, 0
        case Normalization.MINIBATCH:
            scope_ids_N = np.zeros(len(gates_N), dtype=np.int64)
        case Normalization.SEQUENCE:
            scope_ids_N = units.response_of_unit_U[units.unit_ids_N]
    means = _mean_by(gates_N, scope_ids_N)
    is_closed = means < MIN_MEAN_GATE
    factors = np.where(is_closed, 0.0, 1 / np.where(is_closed, 1.0, means))
    return gates_N * factors[scope_ids_N], int(is_closed.sum())


def _mean_by(values_N: Reals, group_ids_N: Integers) -> Reals:
    """Of groups that are all there."""
    means: Reals = np.bincount(group_ids_N, weights=values_N) / np.bincount(group_ids_N)
    return means
