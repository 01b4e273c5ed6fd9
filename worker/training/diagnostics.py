"""What a user sees of an update: drift, what the gate did with it, and where in the responses.

Legend: N valid response tokens of the update.
"""

import resource
import sys

import torch
from torch import Tensor

from service.jobs.catalog import Metric
from service.jobs.records import BlockDrift
from worker.training.gate import Gate, k3
from worker.training.update import UpdateOutcome


def update_metrics(outcome: UpdateOutcome) -> dict[Metric, float]:
    """Loss and gate statistics over the update's valid tokens, drift over those looked at."""
    drift_N = outcome.drift_N
    metrics = {
        Metric.LOSS: outcome.loss,
        Metric.NUM_TOKENS: float(outcome.num_tokens),
        Metric.SKIPPED: 0.0,
        Metric.CLIP_FRACTION: outcome.clip_fraction,
        Metric.TEACHER_LOG_RATIO: outcome.teacher_log_ratio,
        Metric.DRIFT_MEAN: drift_N.mean().item(),
        Metric.DRIFT_MEAN_ABS: drift_N.abs().mean().item(),
        Metric.DRIFT_K3: k3(drift_N).mean().item(),
        **gate_metrics(outcome.gate),
    }
    if outcome.support_mass is not None:
        metrics[Metric.SUPPORT_MASS] = outcome.support_mass
    return metrics


def gate_metrics(gate: Gate) -> dict[Metric, float]:
    """Dispersion of the weights; the effective sample size is (Σ w)² / (n Σ w²), 0 if all are 0."""
    weights_N = gate.weights_N
    sum_of_squares = weights_N.square().sum().item()
    effective = weights_N.sum().item() ** 2 / (len(weights_N) * sum_of_squares or 1.0)
    return {
        Metric.GATE_STD: weights_N.std(correction=0).item(),
        Metric.GATE_MIN: weights_N.min().item(),
        Metric.GATE_MAX: weights_N.max().item(),
        Metric.GATE_EFFECTIVE_SAMPLE_SIZE: effective,
        Metric.GATE_STRENGTH: gate.strength,
        Metric.GATE_SCOPES_CLOSED: float(gate.num_scopes_closed),
    }


def drift_by_block(drift_N: Tensor, block_ids_N: Tensor) -> tuple[BlockDrift, ...]:
    """One row of the drift map: fixed blocks of valid response positions, over all responses."""
    counts = torch.bincount(block_ids_N)
    sums = drift_N.new_zeros(len(counts)).index_add_(0, block_ids_N, drift_N)
    abs_sums = drift_N.new_zeros(len(counts)).index_add_(0, block_ids_N, drift_N.abs())
    return tuple(
        BlockDrift(
            num_tokens=count,
            mean_drift_nats=total / count if count else None,
            mean_abs_drift_nats=abs_total / count if count else None,
        )
        for count, total, abs_total in zip(
            counts.tolist(), sums.tolist(), abs_sums.tolist(), strict=True
        )
    )


def peak_memory_bytes(device: torch.device) -> float:
    """Peak memory of the device's allocator, or of this process's resident set on a CPU."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)
