"""Gradient fidelity as the OpenAPI description shows it."""

from service.jobs.gradient_fidelity import GradientFidelity
from service.rest.job_examples import EXAMPLE_JOB_ID

_WEIGHTINGS = [
    ("job", 0.52, 1.3),
    ("topk/none", 0.51, 1.3),
    ("topk/block", 0.52, 1.3),
    ("topk/newline_span", 0.52, 1.3),
    ("topk/token", 0.53, 1.2),
    ("full_vocabulary", 0.71, 1.0),
]
EXAMPLE_FIDELITY = GradientFidelity.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "measurements": [
            {
                "step": 16,
                "update": 31,
                "attempt": 1,
                "depth": 1,
                "num_tokens": 5120,
                "num_fresh_tokens": 5088,
                "reverse_kl_nats": 0.41,
                "half_cosine": 0.62,
                "weightings": [
                    {"weighting": name, "cosine": cosine, "norm_ratio": norm_ratio}
                    for name, cosine, norm_ratio in _WEIGHTINGS
                ],
            }
        ],
    }
)
