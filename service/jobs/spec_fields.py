"""What every part of a job spec is made of: its base, and the fields that several parts share."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic_core import core_schema

from service.jobs.text_patterns import (
    LABEL_KEY,
    ONE_LINE,
    ONE_LINE_OR_NOTHING,
    REVISION,
    SECRET_NAME,
)

MAX_TOKENS = 1_048_576


MAX_UPDATES = 2**31 - 1


MAX_SEED = 2**63 - 1


ModelReference = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=ONE_LINE)]


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ONE_LINE)]


LabelKey = Annotated[str, StringConstraints(pattern=LABEL_KEY)]


LabelValue = Annotated[str, StringConstraints(max_length=200, pattern=ONE_LINE_OR_NOTHING)]


# The first wrong element of a dictionary or a list is named, not all of them: a body of 8 MB holds
# millions, and pydantic needs minutes and gigabytes to name each.
Labels = Annotated[dict[LabelKey, LabelValue], FailFast()]


MAX_LABELS = 64
MAX_FIELDS = 200  # of one object of a request, known or not; none has so many
MAX_PRIORITY = 1000


Priority = Annotated[
    int,
    Field(
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="Of waiting jobs, the highest is taken first; among equals API keys take turns, each with its "
        "oldest job.",
    ),
]


MAX_RUNTIME_S = 10 * 365 * 24 * 3600


RuntimeSeconds = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_RUNTIME_S,
        description="Seconds that workers may hold the job, over all of its attempts; it fails with "
        "DEADLINE_EXCEEDED where they do not suffice. Waiting and pauses do not count. null: no end.",
    ),
]


Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def _no_number(given: object) -> object:
    # pydantic would take it for seconds since 1970, of which the contract says nothing.
    text = given.strip() if isinstance(given, str) else ""
    if isinstance(given, int | float) or text.lstrip("+-").replace(".", "", 1).isdecimal():
        raise ValueError("a time of RFC 3339, such as 2026-01-31T12:00:00Z")
    return given


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time within the years 1 to 9999 of UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_in_utc)]


def _refuse_coercion(schema: object) -> None:
    """Makes every number in the schema one that only a number is taken for."""
    if isinstance(schema, dict):
        if schema.get("type") in ("int", "float"):
            schema["strict"] = True
        for part in schema.values():
            _refuse_coercion(part)
    elif isinstance(schema, list):
        for part in schema:
            _refuse_coercion(part)


class SpecPart(BaseModel):
    """Frozen; unknown fields, NaN and infinities are refused, and so are texts and truth values as numbers."""

    # Printed errors show no input: what was given may be a secret where its name belongs.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        # Not `strict` for the whole model: enumerations, tuples and times are not what JSON has.
        schema = handler(source)
        _refuse_coercion(schema)
        return schema

    @model_validator(mode="before")
    @classmethod
    def _count_fields(cls, data: object) -> object:
        # Before pydantic names each of those that it does not know.
        if isinstance(data, dict) and len(data) > MAX_FIELDS:
            raise ValueError(f"an object of at most {MAX_FIELDS} fields, not of {len(data):,}")
        return data


class SecretRef(SpecPart):
    """A secret by its name; only the worker reads its value, which is never stored or shown."""

    secret: str = Field(
        pattern=SECRET_NAME,
        description="Of a file in the worker's folder of secrets, or of its environment variable "
        "DRIFTGATE_SECRET_NAME.",
        examples=["HUB_TOKEN"],
    )


class ModelSpec(SpecPart):
    """A model by reference; weights are read as safetensors or GGUF and no remote code ever runs."""

    model: ModelReference = Field(
        description="`builtin/NAME`, a folder or GGUF file below the model root, or a hub id on the allow list."
    )
    revision: str | None = Field(
        default=None,
        max_length=100,
        pattern=REVISION,
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
