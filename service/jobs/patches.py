"""What of a job may be changed after its submission."""

from pydantic import Field

from service.jobs.spec_fields import MAX_LABELS, LabelKey, LabelValue, Priority, SpecPart


class JobPatch(SpecPart):
    """A JSON merge patch (RFC 7396) of labels and priority; what is not named stays as it is."""

    labels: dict[LabelKey, LabelValue | None] | None = Field(
        default=None, max_length=2 * MAX_LABELS, fail_fast=True, description="null removes a label."
    )
    priority: Priority | None = Field(
        default=None, description="Matters while the job waits; refused once it has ended."
    )
