"""A study that is asked for, as the OpenAPI description shows it."""

from typing import Any

from fastapi.openapi.models import Example

from service.rest.job_examples import EXAMPLE_SPEC

EXAMPLE_BASE = {
    name: value for name, value in EXAMPLE_SPEC.items() if name not in {"name", "labels", "seed"}
} | {"objective": {"type": "sampled_token"}}
EXAMPLE_STUDY: dict[str, Any] = {
    "name": "does the block gate help?",
    "base": EXAMPLE_BASE,
    "arms": [
        {"name": "ungated", "changes": {"gate": {"granularity": "none"}}},
        {"name": "block"},
        {"preset": "shuffled-gate"},
    ],
    "seeds": [1, 2, 3, 4, 5, 6, 7, 8],
    "baseline": "ungated",
    "contrast": {"arm": "block", "metric": "pass@8"},
    "max_active_jobs": 2,
    "smallest_difference": 0.05,
}
EXAMPLES: dict[str, Example] = {
    "arithmetic": {
        "summary": "The block gate and its control against no gate, over eight seeds",
        "value": EXAMPLE_STUDY,
    }
}
