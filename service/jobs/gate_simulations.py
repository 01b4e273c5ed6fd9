"""What another gate would have done to updates that a job made."""

from pydantic import Field

from service.jobs.loss_spec import GateSpec
from service.jobs.results import View

# Of the loss; a gate that moves less does nothing that a study of a few seeds could see.
INERT_BELOW = 0.01
# The c of an adaptive strength that is suggested: the exp kernel damps the median unit to e^-0.5, .61.
SUGGESTED_DAMPING = 0.5


class GateEffect(View):
    """What the gate's weights are, over tokens, and what they move."""

    num_tokens: int = Field(description="Valid response tokens that were kept.")
    num_units: int = Field(description="Gate units of these tokens.")
    gate_std: float
    gate_min: float
    gate_max: float
    effective_sample_size: float = Field(description="(Σ w)² / (n Σ w²), 1 where all are alike.")
    share_of_loss_moved: float = Field(
        description="Σ |w − 1| |l| / Σ |l|, of the position losses before any weight."
    )
    inert: bool = Field(description="Whether less than `inert_below` of the loss is moved.")


class GateEffectAtDepth(GateEffect):
    """Of all kept updates at one reuse depth."""

    reuse_depth: int = Field(
        description="Which update of its step, from 1: nothing has drifted at the first."
    )
    num_updates: int


class GateEffectOnUpdate(GateEffect):
    """Of one update, as the attempt that stands made it."""

    update: int
    step: int
    attempt: int
    reuse_depth: int
    minibatch: int = Field(description="Of the step's minibatches, from 1.")
    num_responses: int = Field(description="Kept whole.")
    num_responses_left_out: int
    mean_abs_drift_nats: float
    strength: float = Field(description="τ in force, per nat.")
    num_scopes_closed: int = Field(description="Normalisation scopes whose gates are all 0.")


class SuggestedStrength(View):
    """c / median |s| over the gate units of all kept updates after the first of each step.

    An adaptive strength of c does the same for each update by itself.
    """

    strength: float = Field(description="τ, per nat.")
    adaptive: float = Field(description="c.")
    median_drift_nats: float = Field(description="Of |s|, as the gate aggregates it.")
    median_unit_gate: float = Field(
        description="What the kernel makes of the median unit there, before normalisation."
    )
    num_units: int


class GateSimulation(View):
    """What a gate would have done to the kept updates of a job as they were.

    Not what training under it would have become: a gate changes the weights, and with them all that follows.
    """

    job_id: str
    gate: GateSpec = Field(description="The gate that was put over the updates.")
    inert_below: float = Field(description="Share of the loss below which a gate counts as inert.")
    overall: GateEffect
    by_reuse_depth: tuple[GateEffectAtDepth, ...]
    updates: tuple[GateEffectOnUpdate, ...]
    suggested_strength: SuggestedStrength | None = Field(
        description="null where the gate has no strength, or where nothing drifted."
    )
    notes: tuple[str, ...] = Field(description="What to bear in mind, in sentences.")
