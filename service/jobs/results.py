"""What a client reads back of a job; REST serialises these, gRPC converts from them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from service.errors import ErrorCode
from service.jobs.spec import AnyJobSpec
from service.jobs.state import JobPhase, JobState


class View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldViolation(View):
    """One wrong field: dotted path, what was given, what is allowed."""

    field: str
    given: str
    allowed: str


class Failure(View):
    """Why a job failed or a request was refused."""

    code: ErrorCode
    message: str
    violations: tuple[FieldViolation, ...] = ()


class SpecWarning(View):
    """Something about a spec that is legal but probably not meant."""

    code: str
    field: str
    message: str


class Progress(View):
    """How far the effective attempt has come; a step is one rollout batch."""

    step: int = Field(description="Rollout batches finished.")
    total_steps: int = Field(description="0 where nothing is trained.")
    update: int = Field(description="Optimiser updates finished.")
    total_updates: int
    evaluated_samples: int = Field(default=0, description="Graded in the evaluation under way.")
    samples_to_evaluate: int = Field(
        default=0, description="Of that evaluation; 0 where there is none."
    )


class Job(View):
    """A job as its clients see it. Times are UTC."""

    id: str
    name: str | None
    state: JobState
    phase: JobPhase | None = Field(description="Set while a worker holds the job.")
    progress: Progress
    attempt: int = Field(description="Number of the latest attempt; 0 before the first claim.")
    cancel_requested_at: datetime | None
    failure: Failure | None
    warnings: tuple[SpecWarning, ...]
    labels: dict[str, str] = Field(
        description="As patched last; the spec keeps those it came with."
    )
    priority: int = Field(default=0, description="Of waiting jobs, the highest is taken first.")
    spec: AnyJobSpec
    spec_version: int
    version: int = Field(description="Grows with every change of the job.")
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = Field(description="First claim.")
    finished_at: datetime | None


class JobPage(View):
    """Newest first unless asked otherwise."""

    jobs: tuple[Job, ...]
    next_page_token: str | None


class JobBatch(View):
    """Jobs in the order in which they were asked for, without those that are not there."""

    jobs: tuple[Job, ...]
    missing: tuple[str, ...] = Field(description="Ids that no job has.")


class JobChange(View):
    """A job that changed, as it is now."""

    job_id: str
    job: Job | None = Field(description="null where the job was deleted.")


class JobChanges(View):
    """Oldest change first; a job that changed several times is there once, as it is now."""

    changes: tuple[JobChange, ...]
    next_after: str = Field(description="Pass as `after` for what follows.")


class Attempt(View):
    """One claim of a job by a worker."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    resumed_from_update: int | None = Field(description="null where it trained nothing yet.")
    newest_checkpoint_update: int | None
    outcome: str | None = Field(description="How it ended; null while it runs.")


class JobAttempts(View):
    """Oldest first."""

    job_id: str
    attempts: tuple[Attempt, ...]


class JobEvent(View):
    """One entry of a job's history; `seq` starts at 1 and has no gaps."""

    seq: int
    at: datetime
    type: str = Field(description="`state_changed`, `attempt_ended`, `checkpoint_saved`, …")
    state: JobState
    attempt: int
    message: str


class JobEventPage(View):
    events: tuple[JobEvent, ...]
    next_after: int = Field(description="Pass as `after` for what follows.")


# JSON has no such numbers: there they are strings, which Python's float() and JavaScript's Number() read.
MetricValue = Annotated[
    float,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"enum": ["NaN", "Infinity", "-Infinity"], "type": "string"},
            ]
        },
        mode="serialization",
    ),
]


class JobMetrics(View):
    """Metrics of the effective updates in columns of equal length; null where not recorded."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    job_id: str
    update: tuple[int, ...]
    step: tuple[int, ...]
    attempt: tuple[int, ...]
    columns: dict[str, tuple[MetricValue | None, ...]] = Field(
        description="Keyed by metric name; the catalogue gives unit and meaning. What was not finite is "
        "the string `NaN`, `Infinity` or `-Infinity`."
    )


class DriftMap(View):
    """Drift of the sampled tokens by position, one row per effective update.

    Column b covers valid response positions [b·block_size, (b+1)·block_size). A mean is null where no
    response has a token; one that is not finite is the string `NaN`, `Infinity` or `-Infinity`.
    """

    model_config = ConfigDict(ser_json_inf_nan="strings")

    job_id: str
    block_size: int = Field(description="Valid response tokens per block.")
    update: tuple[int, ...]
    mean_drift_nats: tuple[tuple[MetricValue | None, ...], ...]
    mean_abs_drift_nats: tuple[tuple[MetricValue | None, ...], ...]
    num_tokens: tuple[tuple[int, ...], ...]


class Estimate(View):
    """A point estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


class PassEstimate(Estimate):
    """pass@k, or a difference of two, with its two 95 % intervals: other problems, other samples."""

    low: float = Field(
        description="Problems interval, low end: other problems of the kind, bootstrap over problems."
    )
    high: float = Field(description="Problems interval, high end.")
    sampling_low: float = Field(
        description="Sampling interval, low end: these problems, other samples, Beta posterior."
    )
    sampling_high: float = Field(description="Sampling interval, high end.")


class ProblemCount(View):
    """n samples of one problem, c of them right; the others wrong or one of the four named here."""

    problem_id: str
    n: int
    c: int
    num_no_answer: int = 0
    num_truncated: int = 0
    num_grader_timeouts: int = 0
    problem_sha256: str = Field(default="", description="Of the problem's normalised text.")


class BudgetScore(View):
    """What the same samples score where every response is cut at a shorter limit."""

    max_response_tokens: int
    pass_at: dict[str, float]
    fraction_truncated: float


class BenchmarkResult(View):
    """One model on one benchmark: what was sampled, how it was graded, how sure the numbers are."""

    benchmark: str
    stage: str = Field(
        description="`baseline`, `step-0000025` (during training), `final`, `teacher`; `model` where "
        "nothing is trained."
    )
    attempt: int
    problems_sha256: str = Field(description="Of the normalised problems, in order.")
    num_problems: int
    samples_per_problem: int
    profile: str = Field(description="Named sampling profile.")
    temperature: float
    top_p: float
    top_k: int | None
    max_response_tokens: int
    sampling_sha256: str = Field(description="Of all that decides what is sampled from.")
    grader: str = Field(description="Versions of what graded the answers.")
    seed: int
    pass_at: dict[str, PassEstimate] = Field(description="Keyed by k.")
    maj_at: dict[str, Estimate] = Field(
        description="Majority vote of k samples, keyed by k; interval: bootstrap over problems."
    )
    token_budgets: tuple[BudgetScore, ...]
    fraction_no_answer: float
    fraction_truncated: float
    fraction_loops: float = Field(description="Cut off while repeating themselves.")
    fraction_grader_timeouts: float
    mean_response_tokens: float
    num_response_tokens: int
    seconds: float = Field(description="Of sampling and grading.")
    problems: tuple[ProblemCount, ...] = Field(
        description="Empty unless asked for with `include=problems`."
    )


class BenchmarkDifference(View):
    """Final minus baseline on the same problems."""

    benchmark: str
    pass_at: dict[str, PassEstimate] = Field(description="Keyed by k.")


class StageMean(View):
    """The unweighted mean over all benchmarks of a stage."""

    stage: str
    benchmarks: tuple[str, ...]
    pass_at: dict[str, PassEstimate] = Field(description="Keyed by k.")


class ReverseKl(View):
    """The student's reverse KL to the teacher, Σ π (log π − log q), on fresh responses to held-out problems."""

    benchmark: str
    stage: str = Field(description="`baseline` or `final`.")
    attempt: int
    estimator: str = Field(
        description="`full_vocabulary`: exact at every token; `sampled_token`: log π − log q of the sampled token, "
        "of a teacher whose weights the worker does not have."
    )
    num_responses: int = Field(description="One a problem, sampled at temperature 1 and top-p 1.")
    num_tokens: int = Field(description="Valid response tokens, over which the mean is taken.")
    mean_nats: float | None = Field(description="A token; null where it is not finite.")
    standard_error_nats: float | None = Field(
        description="Of the mean, over other responses to other problems of the kind."
    )
    problems_sha256: str = Field(description="Of the normalised problems, in order.")
    max_response_tokens: int = Field(description="Of `rollout`.")
    seed: int
    seconds: float


class OverlapExample(View):
    """A prompt that shares text with a problem of a benchmark."""

    prompt_id: str
    problem_id: str
    share: float = Field(description="Of the problem's runs of 13 words, those in the prompt.")


class PromptOverlap(View):
    """Prompts to train on that share 13 words in a row with a problem of one benchmark."""

    benchmark: str
    num_prompts: int
    num_overlapping: int
    num_dropped: int
    examples: tuple[OverlapExample, ...]


class JobResults(View):
    """Evaluations of one job. One run: training-seed variance is not included in any interval."""

    job_id: str
    evaluations: tuple[BenchmarkResult, ...]
    means: tuple[StageMean, ...]
    differences: tuple[BenchmarkDifference, ...]
    prompt_overlaps: tuple[PromptOverlap, ...] = Field(
        description="Empty where nothing is trained, or nothing was compared yet."
    )
    reverse_kls: tuple[ReverseKl, ...] = Field(
        default=(),
        description="By stage and benchmark; empty where it was not measured.",
    )
    note: str


class Sample(View):
    """One response: how it was drawn, what it says, how it was graded."""

    stage: str
    benchmark: str
    attempt: int
    problem_id: str
    problem_sha256: str = Field(description="Of the problem's normalised text.")
    sample_index: int
    seed: int
    prompt_tokens: int
    response_tokens: int
    finish_reason: str = Field(description="`stop`, or `length` where it ran into the limit.")
    is_loop: bool = Field(description="Cut off while repeating itself.")
    verdict: str = Field(description="`right`, `wrong`, `no_answer` or `grader_timeout`.")
    layer: str = Field(description="What decided the verdict.")
    extracted: str | None
    sampling_ms: float = Field(description="Its share, by tokens, of the time of its batch.")
    grading_ms: float
    text: str | None = Field(description="null in a regrade: the text is the graded job's.")


class SamplingInForce(View):
    """What the samples of a job were drawn from."""

    profile: str
    temperature: float
    top_p: float
    top_k: int | None
    max_response_tokens: int


class SamplePage(View):
    """By stage, benchmark, problem and number."""

    job_id: str
    sampling: SamplingInForce
    samples: tuple[Sample, ...]
    next_page_token: str | None


class VerdictChange(View):
    """A sample that a regrade judged otherwise."""

    stage: str
    benchmark: str
    problem_id: str
    sample_index: int
    extracted: str | None
    verdict_before: str
    layer_before: str
    verdict: str
    layer: str


class VerdictChanges(View):
    """What a regrade changed; all of it where `num_changed` is the length of `changes`."""

    job_id: str
    regraded_job_id: str
    num_samples: int
    num_changed: int
    changes: tuple[VerdictChange, ...]


class Checkpoint(View):
    """A saved student: a loadable safetensors model folder with its tokenizer."""

    attempt: int
    step: int
    update: int
    uri: str
    size_bytes: int
    manifest_sha256: str
    final: bool
    created_at: datetime


class JobCheckpoints(View):
    job_id: str
    checkpoints: tuple[Checkpoint, ...]


class MetricDescription(View):
    """One member of the metric catalogue."""

    name: str
    unit: str
    meaning: str
