"""How near the gradients of reused batches stayed to fresh ones: what a client reads back."""

from pydantic import Field

from service.jobs.results import View


class WeightingAlignment(View):
    """The gradient of one way to weigh the reused batch, against the reference."""

    weighting: str = Field(
        description="`job`: the job's own; OBJECTIVE/GATE: another, such as `frozen/clip/block` or `topk/none`; "
        "`full_vocabulary`: the reference's loss on the reused responses."
    )
    cosine: float | None = Field(
        description="1: it points where the reference does. null where a gradient is zero or not finite."
    )
    norm_ratio: float | None = Field(description="Its norm over the reference's.")


class GradientMeasurement(View):
    """One batch after some updates made from it.

    The reference is the gradient of the full-vocabulary reverse KL to the teacher, mean over tokens, on fresh responses of
    the student as it was then to the same prompts. Sampled tokens count as given: no gradient flows through sampling.
    """

    step: int = Field(description="The step that the batch belongs to, from 1.")
    update: int = Field(description="The first update made from it.")
    attempt: int
    depth: int = Field(
        description="Updates made from the batch before: the gradients are those that the next one would apply."
    )
    num_tokens: int = Field(description="Valid tokens of the reused batch.")
    num_fresh_tokens: int = Field(description="Valid tokens of the fresh responses.")
    reverse_kl_nats: float | None = Field(description="Mean over the fresh tokens.")
    half_cosine: float | None = Field(
        description="Between the gradients of the two halves of the fresh responses: how noisy the reference is. "
        "Another reference of the same size would have a cosine of about 2r / (1 + r) with it."
    )
    weightings: tuple[WeightingAlignment, ...]


class GradientFidelity(View):
    """By step and depth; empty where the job measures none, or has not come to it yet."""

    job_id: str
    measurements: tuple[GradientMeasurement, ...]
