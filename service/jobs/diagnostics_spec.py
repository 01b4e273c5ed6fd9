"""What a job keeps of its training beyond metrics, to be asked questions later; it changes nothing of the training."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from service.jobs.spec_fields import SpecPart

MAX_TOKEN_DRIFT_UPDATES = 256


class GradientFidelitySpec(SpecPart):
    """At a few steps: how near the gradients of a reused batch stay to a fresh one, for several ways to weigh it.

    A measured step takes about as long as 20 updates for each depth. Training itself stays as it is, bit for bit on a CPU.
    """

    num_batches: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Steps to measure, spread evenly over the job; every step where it has fewer.",
    )
    depths: tuple[Annotated[int, Field(ge=0, le=64)], ...] = Field(
        default=(2, 4, 8),
        min_length=1,
        max_length=8,
        fail_fast=True,
        description="Updates made from the batch before its gradients are compared, ascending, whatever `reuse` says.",
    )
    fresh_samples_per_prompt: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None,
        description="Responses that the reference is computed on, of each of the step's prompts; null: as many as "
        "`rollout.samples_per_prompt`.",
    )

    @model_validator(mode="after")
    def _check_order(self) -> "GradientFidelitySpec":
        if list(self.depths) != sorted(set(self.depths)):
            given = " ".join(map(str, self.depths))
            raise ValueError(
                f"depths is {given}, but every depth has to be larger than the one before"
            )
        return self


class DiagnosticsSpec(SpecPart):
    """What is looked at more closely than every update can be."""

    token_drift_updates: int = Field(
        default=64,
        ge=0,
        le=MAX_TOKEN_DRIFT_UPDATES,
        description="Updates whose drift is kept token by token, for a job's gate:simulate: all those of steps spread "
        "evenly over the job, together at most so many; 0 keeps none.",
    )
    gradient_fidelity: GradientFidelitySpec | None = Field(
        default=None, description="null measures nothing."
    )


def refuse_unmeasurable(
    gradient_fidelity: GradientFidelitySpec | None, given: Mapping[str, str | None]
) -> None:
    """Raises ValueError where the job has something that the gradients cannot be measured with.

    given: by field, what it has of that kind; None where it has not.
    """
    if gradient_fidelity is None:
        return
    for field, value in given.items():
        if value is not None:
            raise ValueError(
                f"diagnostics.gradient_fidelity is set, but {field} is {value}: it needs the student and all of the "
                f"teacher's probabilities on one device, and samples from the student in place; change {field}, or "
                "leave diagnostics.gradient_fidelity out"
            )


def steps_with_token_drift(
    *, steps: int, updates_per_step: int, max_updates: int
) -> frozenset[int]:
    """The steps, counted from 1, of which every update is kept: the middles of equal parts of the job.

    Empty where a step has more updates than may be kept.
    """
    count = min(steps, max_updates // updates_per_step)
    return frozenset(steps * (2 * part + 1) // (2 * count) + 1 for part in range(count))
