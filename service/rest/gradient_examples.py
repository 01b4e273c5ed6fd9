"""Gradient fidelity as the OpenAPI description shows it."""

from typing import Any

_WEIGHTINGS = [
    ("job", 0.18, 1.1),
    ("frozen/clip/none", 0.17, 1.1),
    ("frozen/clip/block", 0.18, 1.1),
    ("recomputed/no_clip/none", 0.52, 1.3),
    ("full_vocabulary", 0.71, 1.0),
]
EXAMPLE_MEASUREMENT = {
    "step": 16,
    "update": 121,
    "attempt": 1,
    "depth": 4,
    "num_tokens": 3120,
    "num_fresh_tokens": 3088,
    "reverse_kl_nats": 0.041,
    "half_cosine": 0.62,
    "weightings": [
        {"weighting": name, "cosine": cosine, "norm_ratio": norm_ratio}
        for name, cosine, norm_ratio in _WEIGHTINGS
    ],
}
GRADIENT_FIDELITY_EXAMPLE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "example": {
                    "job_id": "0199a8c2f3d07c4e9b1d5e6f7a8b9c0d",
                    "measurements": [EXAMPLE_MEASUREMENT],
                }
            }
        }
    }
}
