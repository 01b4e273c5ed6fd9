"""What a job will take, reckoned before it runs; nothing in it was measured but the device's rate.

Tokens, FLOPs, activations and caches are upper bounds: every prompt and every response at its limit.
What cannot be known is null, and `unknown` says why.
"""

from pydantic import Field

from service.jobs.results import SpecWarning, View
from service.jobs.spec import AnyJobSpec


class ParameterCounts(View):
    """Parameters of one model."""

    embedding: int
    body: int = Field(description="Decoder layers and the final norm.")
    head: int = Field(description="Of the output embedding; 0 where it is the embedding (tied).")
    total: int
    tied: bool


class MemoryPlan(View):
    """Bytes of the device by part, in one dtype.

    Left out: the device's context, fragmentation, and temporaries of one layer or of the optimiser's step.
    """

    dtype: str = Field(description="`float32` or `bfloat16`.")
    student_weights_bytes: int | None = Field(description="With its adapters.")
    teacher_weights_bytes: int | None
    optimizer_states_bytes: int | None = Field(
        description="AdamW's two moments; of a bfloat16 student in float32, with a float32 copy of it."
    )
    gradients_bytes: int | None = Field(
        description="Summed over micro-batches in float32, also of a bfloat16 student."
    )
    activations_bytes: int | None = Field(
        description="Kept for the backward pass of the largest micro-batch."
    )
    targets_bytes: int = Field(description="Teacher scores and old log-probs of one step.")
    head_chunk_bytes: int | None = Field(
        description="One chunk of the loss head: its logits, or the head rows of its top-K support."
    )
    rollout_cache_bytes: int | None = Field(
        description="Keys and values of one batch of rollouts; while it grows, up to twice that."
    )
    rollout_logits_bytes: int = Field(description="One token's logits for each sequence, float32.")
    evaluation_cache_bytes: int | None = Field(
        description="Keys and values of one batch of an evaluation, the largest of the two models' and of the "
        "responses that the distance to the teacher is measured on."
    )
    engine_weights_bytes: int | None = Field(
        description="vLLM's copy of the student; 0 unless compute.engine is `vllm`. A GPU is rid of it while the "
        "job trains."
    )
    peak_bytes: int | None = Field(
        description="Weights and optimiser, and the largest of rollout, scoring, update, optimiser's step "
        "and evaluation; what compute.offload names, only in the phases that use it."
    )


class Work(View):
    """Tokens that pass through a model, and the arithmetic for them."""

    tokens: int = Field(description="Prompt and response tokens; a prompt's samples share it.")
    flops: int | None = Field(
        description="2 a parameter and token forward, 6 with the backward pass (4 of a frozen weight), "
        "plus attention."
    )


class StepWork(View):
    """One rollout batch, by phase."""

    rollout: Work
    teacher_scoring: Work
    student_scoring: Work = Field(
        description="Log-probs that do not fall out of an update: old ones of all minibatches but "
        "the first, and gates that must be known before the loss."
    )
    updates: Work
    total: Work


class JobWork(View):
    """The whole job."""

    training: Work
    evaluation: Work = Field(
        description="The student before and after, and its distance to the teacher; the teacher if asked for."
    )
    total: Work


class TimePlan(View):
    """Seconds at a measured rate."""

    seconds_per_step: float
    training_seconds: float
    evaluation_seconds: float
    total_seconds: float
    flops_per_second: float
    rate_source: str = Field(description="Where the rate was measured: the setting, or a job.")


class TimeRange(View):
    """Seconds of the whole job where nothing was measured: between two assumed GPUs."""

    low_seconds: float = Field(
        description="The fastest assumed, responses at a quarter of their limit."
    )
    high_seconds: float = Field(description="The slowest assumed, every response at its limit.")
    assumption: str = Field(
        description="What was assumed of device, speed and lengths; for people."
    )


class DiskPlan(View):
    """Bytes of files, in the dtype that takes most."""

    models_bytes: int = Field(
        description="Weights of both models, as the worker keeps them where they come from the hub."
    )
    checkpoint_bytes: int = Field(description="One checkpoint: weights and the optimiser's states.")
    checkpoints_bytes: int = Field(
        description="All that are there at once: those that are kept, and the next while it is written."
    )


class UnknownPart(View):
    """A part of the plan that is null, and why."""

    part: str = Field(description="`student`, `teacher`, `memory`, `step`, `job` or `time`.")
    reason: str


class Plan(View):
    """A spec that would be accepted, what it leaves to doubt, and what it would take."""

    spec: AnyJobSpec = Field(description="Every field is set, defaults included.")
    warnings: tuple[SpecWarning, ...]
    student: ParameterCounts | None = Field(description="Or the model that is evaluated.")
    teacher: ParameterCounts | None
    trained_parameters: int | None = Field(
        description="All of the student's, or those of its adapters; null where nothing is trained."
    )
    memory: tuple[MemoryPlan, ...] = Field(
        description="One for each dtype that the worker's device may lead to; empty where unknown."
    )
    step: StepWork | None = Field(description="null where nothing is trained, or where unknown.")
    job: JobWork | None = Field(description="null where no model is run, or where unknown.")
    time: TimePlan | None
    time_range: TimeRange | None = Field(
        default=None,
        description="Of a distillation on a GPU where no rate is known; null where `time` is not.",
    )
    disk: DiskPlan | None = Field(
        default=None, description="Of a distillation whose models are known."
    )
    unknown: tuple[UnknownPart, ...]
