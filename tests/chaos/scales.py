"""How long a run is, and how much of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.deployment import SERVICES, WORKERS


@dataclass(frozen=True, slots=True)
class Scale:
    """window_s: how long faults come, each of the plan once. restarted: what is killed and started once more after them."""

    window_s: float
    max_jobs_per_client: int
    update_s: float
    restarted: Sequence[str]


SHORT = Scale(
    window_s=4,
    max_jobs_per_client=3,
    update_s=0.04,
    restarted=WORKERS,
)
LONG = Scale(
    window_s=6,
    max_jobs_per_client=3,
    update_s=0.04,
    restarted=SERVICES,
)
