"""What every part of a job spec is made of: its base, and the fields that several parts share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_TOKENS = 1_048_576


MAX_UPDATES = 2**31 - 1


MAX_SEED = 2**63 - 1


ModelReference = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")
]


Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


LabelKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_.\-/]{0,61}[a-z0-9])?$")]


LabelValue = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


Labels = dict[LabelKey, LabelValue]


MAX_LABELS = 64
MAX_PRIORITY = 1000


Priority = Annotated[
    int,
    Field(
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="Of waiting jobs, the highest is taken first, then the oldest.",
    ),
]


Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class SpecPart(BaseModel):
    """Frozen; unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SecretRef(SpecPart):
    """A secret by its name; only the worker reads its value, which is never stored or shown."""

    secret: str = Field(
        pattern=r"^[A-Z][A-Z0-9_]{0,62}$",
        description="Of a file in the worker's folder of secrets, or of its environment variable "
        "DRIFTGATE_SECRET_NAME.",
        examples=["HUB_TOKEN"],
    )


class ModelSpec(SpecPart):
    """A model by reference; weights are read as safetensors only and no remote code ever runs."""

    model: ModelReference = Field(
        description="`builtin/NAME`, a folder below the model root, or a hub id on the allow list."
    )
    revision: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[A-Za-z0-9._\-/]+$",
        description="Branch, tag or commit of a hub model; the hub's default when unset.",
    )
    hub_token: SecretRef | None = Field(
        default=None,
        description="Of a hub model that is not public. Only the worker can read such a model, so "
        "what its files say is checked there, before any weight is loaded.",
    )

    def is_same_model(self, other: "ModelSpec") -> bool:
        """Whether both name one model, however each gets at it."""
        return (self.model, self.revision) == (other.model, other.revision)
