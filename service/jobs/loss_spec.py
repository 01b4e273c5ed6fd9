"""What is trained on: the objective and the gate, with the published setting as defaults."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.jobs.spec_fields import MAX_TOKENS, SpecPart


class Advantage(StrEnum):
    """What multiplies the ratio of the sampled-token loss."""

    FROZEN = "frozen"
    RECOMPUTED = "recomputed"
    CONSTANT = "constant"


class SampledTokenObjective(SpecPart):
    """Clipped policy gradient on the sampled tokens; the advantage is log q − log pi, in nats."""

    type: Literal["sampled_token"] = "sampled_token"
    advantage: Advantage = Field(
        default=Advantage.FROZEN,
        description="`frozen`: log q − log pi_old. `recomputed`: log q − log pi_cur, detached. "
        "`constant`: −1, a control.",
    )
    clip_range: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=0.2, description="PPO clip ε of the ratio; null trains without a clip."
    )
    dual_clip: Annotated[float, Field(gt=1, le=1000)] | None = Field(
        default=3.0,
        description="Upper bound c of the loss at negative advantage, −cA; null for none.",
    )


class TeacherTopKObjective(SpecPart):
    """Reverse KL on the teacher's K most likely tokens, both policies renormalised there."""

    type: Literal["teacher_topk"] = "teacher_topk"
    k: int = Field(default=32, ge=1, le=4096, description="Teacher support, tokens per position.")


Objective = Annotated[SampledTokenObjective | TeacherTopKObjective, Field(discriminator="type")]


class Granularity(StrEnum):
    """What shares one gate value."""

    BLOCK = "block"
    NEWLINE_SPAN = "newline_span"
    TOKEN = "token"
    SEQUENCE = "sequence"
    NONE = "none"


class Aggregation(StrEnum):
    """How the drift of a unit's tokens becomes one number."""

    SIGNED_MEAN = "signed_mean"
    MEAN_ABS = "mean_abs"
    RMS = "rms"
    K3 = "k3"


class Kernel(StrEnum):
    """How a unit's drift becomes its unnormalised gate."""

    EXP = "exp"
    RECIPROCAL = "reciprocal"
    HARD = "hard"
    RATIO = "ratio"


class Normalization(StrEnum):
    """The scope in which the token-weighted mean gate is 1."""

    MINIBATCH = "minibatch"
    SEQUENCE = "sequence"
    NONE = "none"


class Direction(StrEnum):
    """Whether drifted units are damped, emphasised, or the gates dealt out at random (a control)."""

    DAMP = "damp"
    EMPHASISE = "emphasise"
    SHUFFLED = "shuffled"


class AdaptiveStrength(SpecPart):
    """Strength c / median|s| over the units of the update: the median unit is damped by e^−c."""

    adaptive: float = Field(gt=0, le=20)


class GateSpec(SpecPart):
    """Blockwise policy-drift gate, Eq. 1 of arXiv 2606.24084 with the defaults."""

    granularity: Granularity = Granularity.BLOCK
    block_size: int = Field(
        default=64,
        ge=1,
        le=MAX_TOKENS,
        description="Valid response tokens per block. Also cuts a response that has no newline "
        "token under `newline_span`.",
    )
    aggregation: Aggregation = Aggregation.SIGNED_MEAN
    kernel: Kernel = Kernel.EXP
    strength: Annotated[float, Field(ge=0, le=1e6)] | AdaptiveStrength = Field(
        default=1.0, description='τ, per nat; or {"adaptive": c}. Ignored by the `hard` kernel.'
    )
    normalization: Normalization = Normalization.MINIBATCH
    direction: Direction = Direction.DAMP
    min_span: int = Field(default=16, ge=1, le=MAX_TOKENS, description="`newline_span`, tokens.")
    max_span: int = Field(default=128, ge=1, le=MAX_TOKENS, description="`newline_span`, tokens.")
    threshold: float = Field(
        default=0.05,
        ge=0,
        le=20,
        description="Largest drift that a `hard` gate lets through, nats.",
    )
    ratio_bounds: tuple[
        Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=1, le=1e6)]
    ] = Field(default=(0.5, 2.0), description="Clip of the `ratio` kernel, low ≤ 1 ≤ high.")

    @model_validator(mode="after")
    def _check_combinations(self) -> "GateSpec":
        if self.min_span > self.max_span:
            raise ValueError(
                f"min_span is {self.min_span}, but may be at most max_span, which is {self.max_span}"
            )
        if self.kernel is Kernel.HARD and isinstance(self.strength, AdaptiveStrength):
            raise ValueError(
                "kernel 'hard' ignores the strength, so an adaptive one is refused; "
                "set threshold instead"
            )
        if self.kernel is Kernel.HARD and self.direction is Direction.EMPHASISE:
            raise ValueError("direction 'emphasise' inverts the gate and a 'hard' gate may be 0")
        if self.kernel is Kernel.RATIO and (
            self.aggregation is not Aggregation.SIGNED_MEAN or self.direction is not Direction.DAMP
        ):
            raise ValueError("kernel 'ratio' needs aggregation 'signed_mean' and direction 'damp'")
        return self
