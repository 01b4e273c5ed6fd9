"""A simulated gate as the OpenAPI description shows it."""

from service.gate_simulations import COUNTERFACTUAL
from service.jobs.gate_simulations import INERT_BELOW, SUGGESTED_DAMPING, GateSimulation
from service.jobs.loss_spec import GateSpec
from service.rest.job_examples import EXAMPLE_JOB_ID

_AT_FIRST = {
    "num_tokens": 5317,
    "num_units": 356,
    "gate_std": 0.0,
    "gate_min": 1.0,
    "gate_max": 1.0,
    "effective_sample_size": 1.0,
    "share_of_loss_moved": 0.0,
    "inert": True,
}
_AT_SECOND = _AT_FIRST | {
    "gate_std": 0.0138,
    "gate_min": 0.8219,
    "gate_max": 1.0063,
    "effective_sample_size": 0.9998,
    "share_of_loss_moved": 0.006,
}
_OVERALL = _AT_SECOND | {
    "num_tokens": 10_634,
    "num_units": 712,
    "gate_std": 0.0098,
    "effective_sample_size": 0.9999,
    "share_of_loss_moved": 0.003,
}
_OF_UPDATE = {
    "step": 4,
    "attempt": 1,
    "minibatch": 1,
    "num_responses": 64,
    "num_responses_left_out": 0,
    "strength": 1.0,
    "num_scopes_closed": 0,
}
EXAMPLE_SIMULATION = GateSimulation.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "gate": GateSpec(block_size=16),
        "inert_below": INERT_BELOW,
        "overall": _OVERALL,
        "by_reuse_depth": [
            _AT_FIRST | {"reuse_depth": 1, "num_updates": 1},
            _AT_SECOND | {"reuse_depth": 2, "num_updates": 1},
        ],
        "updates": [
            _AT_FIRST | _OF_UPDATE | {"update": 7, "reuse_depth": 1, "mean_abs_drift_nats": 0.0},
            _AT_SECOND
            | _OF_UPDATE
            | {"update": 8, "reuse_depth": 2, "mean_abs_drift_nats": 0.0085},
        ],
        "suggested_strength": {
            "strength": 125.0,
            "adaptive": SUGGESTED_DAMPING,
            "median_drift_nats": 0.004,
            "median_unit_gate": 0.6065,
            "num_units": 356,
        },
        "notes": [COUNTERFACTUAL],
    }
)
