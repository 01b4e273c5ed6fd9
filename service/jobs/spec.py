"""The job spec: every knob of a job once, with its unit, its bounds and its default.

Its parts stand in `spec_fields`, `problem_sources`, `evaluation_spec` and `loss_spec`. Defaults are the
published setting where one was published (arXiv 2606.24084): a step is one rollout batch, log-probabilities
are in nats.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, StringConstraints, Tag, model_validator

from service.jobs.diagnostics_spec import DiagnosticsSpec, refuse_unmeasurable
from service.jobs.engine_limits import refuse_temperatures
from service.jobs.evaluation_spec import EvaluationSpec
from service.jobs.export_spec import ExportDestination
from service.jobs.loss_spec import GateSpec, Objective, SampledTokenObjective
from service.jobs.problem_sources import PromptsSpec
from service.jobs.resources_spec import ResourcesSpec, refuse_what_needs_one_gpu
from service.jobs.spec_fields import (
    MAX_LABELS,
    MAX_TOKENS,
    MAX_UPDATES,
    Labels,
    ModelSpec,
    Name,
    Priority,
    RuntimeSeconds,
    Seed,
    SpecPart,
)
from service.jobs.teacher_spec import TeacherSpec
from service.jobs.text_patterns import JOB_REFERENCE, LAYER_NAME

SPEC_VERSION = 1


class WarmStartSpec(SpecPart):
    """The student's weights come from a checkpoint of an earlier job, with a fresh optimiser.

    That job has ended, and trained the same `student`.
    """

    job_id: str = Field(min_length=1, max_length=100, pattern=JOB_REFERENCE)
    step: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="One of the job's saved steps; its newest where null."
    )


class ReuseSpec(SpecPart):
    """How often a rollout batch is trained on: epochs × minibatches optimiser updates."""

    epochs: int = Field(default=2, ge=1, le=64)
    minibatches: int = Field(default=1, ge=1, le=1024)


class RolloutSpec(SpecPart):
    """How the student samples its own training data."""

    prompts_per_step: int = Field(default=4, ge=1, le=65_536)
    samples_per_prompt: int = Field(default=8, ge=1, le=4096)
    max_prompt_tokens: int = Field(default=2048, ge=1, le=MAX_TOKENS)
    max_response_tokens: int = Field(default=16_384, ge=1, le=MAX_TOKENS)
    temperature: float = Field(default=1.0, gt=0, le=10)
    top_p: float = Field(default=0.9, gt=0, le=1)


class ScheduleType(StrEnum):
    """How the learning rate falls after its warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class ScheduleSpec(SpecPart):
    """The learning rate over all updates of a job (steps × reuse.epochs × reuse.minibatches)."""

    type: ScheduleType = ScheduleType.CONSTANT
    warmup_updates: int = Field(
        default=0,
        ge=0,
        le=MAX_UPDATES,
        description="The rate rises in equal steps over these updates; the last has the full rate.",
    )
    final_fraction: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Rate of the job's last update, as a fraction of learning_rate; not used by "
        "`constant`.",
    )


class OptimizerSpec(SpecPart):
    """AdamW."""

    learning_rate: float = Field(default=2e-6, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    gradient_clip_norm: float = Field(default=1.0, gt=0, le=1e6)
    schedule: ScheduleSpec = ScheduleSpec()


LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraSpec(SpecPart):
    """Low-rank adapters are trained instead of the student's own weights, W + alpha/rank · B A.

    There is no dropout: the old log-probs fall out of the first update only where a forward pass is a
    function of the weights.
    """

    rank: int = Field(default=16, ge=1, le=4096)
    alpha: float = Field(default=32.0, gt=0, le=1e6)
    target_modules: tuple[Annotated[str, StringConstraints(pattern=LAYER_NAME)], ...] = Field(
        default=LINEAR_LAYERS,
        min_length=1,
        max_length=64,
        fail_fast=True,
        description="Names of linear layers inside the student's decoder; the embeddings stay.",
    )


class CheckpointSpec(SpecPart):
    """When the student is saved; the last step is always saved."""

    every_steps: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Null: after every step, or every few where that would take more than a twentieth "
        "of the time (a tenth, where a checkpoint takes less than a tenth of a second).",
    )
    keep_last: int = Field(
        default=2, ge=1, le=1000, description="Older ones are removed; the final one never is."
    )


class ComputeSpec(SpecPart):
    """Where and how the tensors are computed; but for `engine`, changes no result beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="`auto`: bfloat16 on a GPU that computes it natively, else float32.",
    )
    max_tokens_per_microbatch: int = Field(
        default=16_384,
        ge=1,
        le=MAX_TOKENS,
        description="Prompt and response tokens of one forward pass, padding included.",
    )
    rollout_batch_size: int = Field(
        default=512, ge=1, le=65_536, description="Sequences that are generated side by side."
    )
    engine: Literal["auto", "transformers", "vllm"] = Field(
        default="auto",
        description="What draws rollouts and evaluations; each draws other samples of the same "
        "distribution. `auto`: vLLM where the worker has it and a GPU, else transformers.",
    )
    gradient_checkpointing: StrictBool = Field(
        default=False,
        description="Keep only the inputs of each layer and compute the layer again in the backward "
        "pass: less memory for a third more compute, the same gradients.",
    )
    layout: Literal["auto", "padded", "packed"] = Field(
        default="auto",
        description="How sequences stand in a forward pass of scoring or training: padded to rows of one "
        "length, or one behind the other with no padding (Llama, Mistral, Qwen2 and Qwen3). `auto`: "
        "packed on a GPU where both models can be.",
    )
    compile: StrictBool = Field(
        default=False,
        description="Compile the layers for scoring and training with torch.compile, which needs a C compiler on "
        "the worker and a minute or more at the start.",
    )
    offload: Literal["none", "teacher", "optimizer", "both"] = Field(
        default="none",
        description="What waits in the host's memory while it is not used: the teacher's weights but for its "
        "scoring and evaluation, the optimiser's states but for its step. It takes time to move them.",
    )


class JobKind(StrEnum):
    """What a job does."""

    DISTILLATION = "distillation"
    EVALUATION = "evaluation"
    REGRADE = "regrade"
    EXPORT = "export"


class JobSpec(SpecPart):
    """One on-policy distillation job."""

    kind: Literal[JobKind.DISTILLATION] = JobKind.DISTILLATION
    name: Name | None = None
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    priority: Priority = 0
    max_runtime_s: RuntimeSeconds | None = None
    student: ModelSpec
    warm_start: WarmStartSpec | None = Field(
        default=None, description="null starts from the student as it is."
    )
    teacher: TeacherSpec
    prompts: PromptsSpec
    objective: Objective = SampledTokenObjective()
    gate: GateSpec = GateSpec()
    steps: int = Field(default=200, ge=1, le=1_000_000, description="Rollout batches.")
    reuse: ReuseSpec = ReuseSpec()
    rollout: RolloutSpec = RolloutSpec()
    optimizer: OptimizerSpec = OptimizerSpec()
    lora: LoraSpec | None = Field(default=None, description="null trains every weight.")
    evaluation: EvaluationSpec = EvaluationSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    compute: ComputeSpec = ComputeSpec()
    resources: ResourcesSpec = ResourcesSpec()
    masked_token_ids: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(),
        max_length=1024,
        fail_fast=True,
        description="Response tokens that are not trained on; EOS is trained unless listed.",
    )
    drift_map_block_size: int = Field(
        default=64,
        ge=1,
        le=MAX_TOKENS,
        description="Response positions per row of the drift map, whatever the gate's granularity.",
    )
    diagnostics: DiagnosticsSpec = DiagnosticsSpec()
    seed: Seed = 0

    @property
    def num_updates(self) -> int:
        """Optimiser updates of the whole job."""
        return self.steps * self.reuse.epochs * self.reuse.minibatches

    @model_validator(mode="after")
    def _check_warmup(self) -> "JobSpec":
        warmup_updates = self.optimizer.schedule.warmup_updates
        if warmup_updates > self.num_updates:
            raise ValueError(
                f"optimizer.schedule.warmup_updates is {warmup_updates}, but the job has only "
                f"{self.num_updates} updates (steps × reuse.epochs × reuse.minibatches)"
            )
        return self

    @model_validator(mode="after")
    def _check_minibatches(self) -> "JobSpec":
        num_responses = self.rollout.prompts_per_step * self.rollout.samples_per_prompt
        if self.reuse.minibatches > num_responses:
            raise ValueError(
                f"reuse.minibatches is {self.reuse.minibatches}, but a step has only "
                f"{num_responses} responses (rollout.prompts_per_step × samples_per_prompt)"
            )
        return self

    @model_validator(mode="after")
    def _check_engine(self) -> "JobSpec":
        refuse_temperatures(
            self.compute.engine,
            {
                "rollout.temperature": self.rollout.temperature,
                "evaluation.temperature": self.evaluation.temperature,
            },
        )
        return self

    @model_validator(mode="after")
    def _check_gpus(self) -> "JobSpec":
        compute = self.compute
        refuse_what_needs_one_gpu(
            self.resources.gpus,
            {
                "compute.device": "cpu" if compute.device == "cpu" else None,
                "compute.engine": "vllm" if compute.engine == "vllm" else None,
                "compute.compile": "true" if compute.compile else None,
                "compute.offload": compute.offload if compute.offload != "none" else None,
                "lora": "set" if self.lora is not None else None,
                "teacher.endpoint": "set" if self.teacher.endpoint is not None else None,
            },
        )
        return self

    @model_validator(mode="after")
    def _check_diagnostics(self) -> "JobSpec":
        refuse_unmeasurable(
            self.diagnostics.gradient_fidelity,
            {
                "resources.gpus": str(self.resources.gpus) if self.resources.gpus > 1 else None,
                "teacher.endpoint": "set" if self.teacher.endpoint is not None else None,
                "compute.engine": "vllm" if self.compute.engine == "vllm" else None,
            },
        )
        return self


class EvaluationJobSpec(SpecPart):
    """pass@k of any model, without training."""

    kind: Literal[JobKind.EVALUATION]
    name: Name | None = None
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    priority: Priority = 0
    max_runtime_s: RuntimeSeconds | None = None
    model: ModelSpec
    evaluation: EvaluationSpec
    max_prompt_tokens: int = Field(default=2048, ge=1, le=MAX_TOKENS)
    compute: ComputeSpec = ComputeSpec()

    @model_validator(mode="after")
    def _check_engine(self) -> "EvaluationJobSpec":
        refuse_temperatures(
            self.compute.engine, {"evaluation.temperature": self.evaluation.temperature}
        )
        return self

    @model_validator(mode="after")
    def _check_evaluation(self) -> "EvaluationJobSpec":
        if not self.evaluation.benchmarks:
            raise ValueError("evaluation.benchmarks is empty, but an evaluation needs a benchmark")
        if self.evaluation.evaluate_teacher:
            raise ValueError("evaluation.evaluate_teacher is true, but there is no teacher")
        if self.evaluation.during_training is not None:
            raise ValueError("evaluation.during_training is set, but nothing is trained")
        return self


class RegradeJobSpec(SpecPart):
    """The samples of an ended job graded anew, with the grader and the answers of today.

    Nothing is sampled and that job keeps its results: this one has results of its own, and the verdicts
    that changed.
    """

    kind: Literal[JobKind.REGRADE]
    name: Name | None = None
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    priority: Priority = 0
    max_runtime_s: RuntimeSeconds | None = None
    job_id: str = Field(min_length=1, max_length=100, pattern=JOB_REFERENCE)


class ExportJobSpec(SpecPart):
    """A checkpoint of another job copied to where it is used: the model's files, and a manifest of them.

    The manifest is written last: where it is, the copy is complete.
    """

    kind: Literal[JobKind.EXPORT]
    name: Name | None = None
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    priority: Priority = 0
    max_runtime_s: RuntimeSeconds | None = None
    job_id: str = Field(min_length=1, max_length=100, pattern=JOB_REFERENCE)
    step: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="One of the job's saved steps; its newest where null."
    )
    destination: ExportDestination


def num_devices_of(spec: JobSpec | EvaluationJobSpec | RegradeJobSpec | ExportJobSpec) -> int:
    """How many devices of a worker the job computes on."""
    return spec.resources.gpus if isinstance(spec, JobSpec) else 1


def _kind_of(spec: Any) -> str:
    kind = spec.get("kind") if isinstance(spec, dict) else getattr(spec, "kind", None)
    return JobKind.DISTILLATION if kind is None else str(kind)


AnyJobSpec = Annotated[
    Annotated[JobSpec, Tag(JobKind.DISTILLATION)]
    | Annotated[EvaluationJobSpec, Tag(JobKind.EVALUATION)]
    | Annotated[RegradeJobSpec, Tag(JobKind.REGRADE)]
    | Annotated[ExportJobSpec, Tag(JobKind.EXPORT)],
    Discriminator(_kind_of),
]
