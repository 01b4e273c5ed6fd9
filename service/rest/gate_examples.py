"""A simulated gate as the OpenAPI description shows it."""

from typing import Any

from service.gate_simulations import COUNTERFACTUAL
from service.jobs.gate_simulations import INERT_BELOW, SUGGESTED_DAMPING
from service.jobs.loss_spec import GateSpec

_AT_FIRST = {
    "num_tokens": 1792,
    "num_units": 128,
    "gate_std": 0.0,
    "gate_min": 1.0,
    "gate_max": 1.0,
    "effective_sample_size": 1.0,
    "share_of_loss_moved": 0.0,
    "inert": True,
}
_AT_SECOND = _AT_FIRST | {
    "gate_std": 0.0051,
    "gate_min": 0.962,
    "gate_max": 1.004,
    "effective_sample_size": 0.99997,
    "share_of_loss_moved": 0.0034,
}
_OVERALL = _AT_SECOND | {
    "num_tokens": 3584,
    "num_units": 256,
    "gate_std": 0.0036,
    "share_of_loss_moved": 0.0017,
}
_OF_UPDATE = {
    "step": 4,
    "attempt": 1,
    "minibatch": 1,
    "num_responses": 32,
    "num_responses_left_out": 0,
    "strength": 1.0,
    "num_scopes_closed": 0,
}
EXAMPLE_SIMULATION = {
    "job_id": "0199a8c2f3d07c4e9b1d5e6f7a8b9c0d",
    "gate": GateSpec(block_size=16).model_dump(mode="json"),
    "inert_below": INERT_BELOW,
    "overall": _OVERALL,
    "by_reuse_depth": [
        _AT_FIRST | {"reuse_depth": 1, "num_updates": 1},
        _AT_SECOND | {"reuse_depth": 2, "num_updates": 1},
    ],
    "updates": [
        _AT_FIRST | _OF_UPDATE | {"update": 7, "reuse_depth": 1, "mean_abs_drift_nats": 0.0},
        _AT_SECOND | _OF_UPDATE | {"update": 8, "reuse_depth": 2, "mean_abs_drift_nats": 0.0083},
    ],
    "suggested_strength": {
        "strength": 125.0,
        "adaptive": SUGGESTED_DAMPING,
        "median_drift_nats": 0.004,
        "median_unit_gate": 0.6065,
        "num_units": 128,
    },
    "notes": [COUNTERFACTUAL],
}
GATE_SIMULATION_EXAMPLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": EXAMPLE_SIMULATION}}}
}
