"""The job spec: every knob of a job once, with its unit, its bounds and its default.

Defaults are the published setting where one was published (arXiv 2606.24084): a step is one rollout
batch, log-probabilities are in nats.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SPEC_VERSION = 1

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
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class SpecPart(BaseModel):
    """Frozen; unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class WarmStartSpec(SpecPart):
    """The student's weights come from a checkpoint of an earlier job, with a fresh optimiser.

    That job has ended, and trained the same `student`.
    """

    job_id: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9\-]+$")
    step: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="One of the job's saved steps; its newest where null."
    )


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
    TOKEN = "token"  # noqa: S105 not a password
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
    target_modules: tuple[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")], ...
    ] = Field(
        default=LINEAR_LAYERS,
        min_length=1,
        max_length=64,
        description="Names of linear layers inside the student's decoder; the embeddings stay.",
    )


class ArithmeticSource(SpecPart):
    """The built-in chained digit arithmetic, generated from its seed."""

    source: Literal["arithmetic"] = "arithmetic"
    num_problems: int = Field(default=200, ge=1, le=1_000_000)
    min_operations: int = Field(default=8, ge=1, le=26)
    max_operations: int = Field(default=12, ge=1, le=26)
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_operations(self) -> "ArithmeticSource":
        if self.min_operations > self.max_operations:
            raise ValueError(
                f"min_operations is {self.min_operations}, but may be at most max_operations, "
                f"which is {self.max_operations}"
            )
        return self


class FileSource(SpecPart):
    """A JSONL file below the dataset root: `problem` a line, and for a benchmark `id` and `answer`."""

    source: Literal["file"] = "file"
    path: str = Field(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")


class Problem(SpecPart):
    """One problem; `answer` is needed only where answers are graded."""

    id: str = Field(min_length=1, max_length=200)
    problem: str = Field(min_length=1, max_length=100_000)
    answer: str | None = Field(default=None, max_length=1000)


class InlineSource(SpecPart):
    """Problems given in the spec itself."""

    source: Literal["inline"] = "inline"
    problems: tuple[Problem, ...] = Field(max_length=10_000)


ProblemSource = Annotated[
    ArithmeticSource | FileSource | InlineSource, Field(discriminator="source")
]

BOXED_INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


class PromptFormat(SpecPart):
    """How a problem becomes the prompt of a model."""

    instruction: str = Field(
        default=BOXED_INSTRUCTION,
        max_length=10_000,
        description="Follows a problem after one blank line; not used for arithmetic problems.",
    )
    chat_template: Literal["auto", "never"] = Field(
        default="auto",
        description="`auto` applies the tokenizer's chat template where it has one.",
    )


class PromptsSpec(SpecPart):
    """The prompts that the student is trained on."""

    problems: ProblemSource
    format: PromptFormat = PromptFormat()


class BenchmarkSpec(SpecPart):
    """One benchmark: its problems and the name its results carry."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")]
    problems: ProblemSource
    format: PromptFormat = PromptFormat()


class EvaluationSpec(SpecPart):
    """pass@k of the student before and after training, and of the teacher on request."""

    benchmarks: tuple[BenchmarkSpec, ...] = Field(default=(), max_length=20)
    samples_per_problem: int = Field(default=8, ge=1, le=4096, description="n")
    k: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(1, 8), min_length=1, max_length=16, description="pass@k is reported for each."
    )
    temperature: float = Field(default=1.0, gt=0, le=10)
    top_p: float = Field(default=0.9, gt=0, le=1)
    max_response_tokens: int = Field(default=16_384, ge=1, le=MAX_TOKENS)
    evaluate_teacher: bool = False
    seed: Seed = Field(
        default=0, description="Seed of the samples, apart from the job's, so that jobs pair."
    )

    @model_validator(mode="after")
    def _check_samples(self) -> "EvaluationSpec":
        if self.samples_per_problem < max(self.k):
            raise ValueError(
                f"samples_per_problem is {self.samples_per_problem}, but pass@{max(self.k)} needs "
                f"at least {max(self.k)} samples per problem"
            )
        names = [benchmark.name for benchmark in self.benchmarks]
        if len(set(names)) < len(names):
            raise ValueError(f"benchmark names must differ, given {names}")
        return self


class CheckpointSpec(SpecPart):
    """When the student is saved; the last step is always saved."""

    every_steps: int = Field(default=25, ge=1, le=100_000)
    keep_last: int = Field(
        default=2, ge=1, le=1000, description="Older ones are removed; the final one never is."
    )


class ComputeSpec(SpecPart):
    """Where and how the tensors are computed; changes no result beyond rounding."""

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
    gradient_checkpointing: bool = Field(
        default=False,
        description="Keep only the inputs of each layer and compute the layer again in the backward "
        "pass: less memory for a third more compute, the same gradients.",
    )


class JobSpec(SpecPart):
    """One on-policy distillation job."""

    name: Name | None = None
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=64)
    student: ModelSpec
    warm_start: WarmStartSpec | None = Field(
        default=None, description="null starts from the student as it is."
    )
    teacher: ModelSpec
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
    masked_token_ids: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(),
        max_length=1024,
        description="Response tokens that are not trained on; EOS is trained unless listed.",
    )
    drift_map_block_size: int = Field(
        default=64,
        ge=1,
        le=MAX_TOKENS,
        description="Response positions per row of the drift map, whatever the gate's granularity.",
    )
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
