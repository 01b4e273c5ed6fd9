"""What a client reads back of a job; REST serialises these, gRPC converts from them."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from service.errors import ErrorCode
from service.jobs.spec import JobSpec
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
    total_steps: int
    update: int = Field(description="Optimiser updates finished.")
    total_updates: int


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
    labels: dict[str, str]
    spec: JobSpec
    spec_version: int
    version: int = Field(description="Grows with every change of the job.")
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = Field(description="First claim.")
    finished_at: datetime | None


class JobPage(View):
    """Newest first."""

    jobs: tuple[Job, ...]
    next_page_token: str | None


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


class JobMetrics(View):
    """Metrics of the effective updates in columns of equal length; null where not recorded."""

    job_id: str
    update: tuple[int, ...]
    step: tuple[int, ...]
    attempt: tuple[int, ...]
    columns: dict[str, tuple[float | None, ...]] = Field(
        description="Keyed by metric name; the catalogue gives unit and meaning."
    )


class DriftMap(View):
    """Drift of the sampled tokens by position, one row per effective update.

    Column b covers valid response positions [b·block_size, (b+1)·block_size).
    """

    job_id: str
    block_size: int = Field(description="Valid response tokens per block.")
    update: tuple[int, ...]
    mean_drift_nats: tuple[tuple[float | None, ...], ...]
    mean_abs_drift_nats: tuple[tuple[float | None, ...], ...]
    num_tokens: tuple[tuple[int, ...], ...]


class Estimate(View):
    """A point estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


class ProblemCount(View):
    """n samples of one problem, c of them right."""

    problem_id: str
    n: int
    c: int
    num_no_answer: int = 0
    num_truncated: int = 0


class BenchmarkResult(View):
    """One model on one benchmark."""

    benchmark: str
    stage: str = Field(description="`baseline`, `final` or `teacher`.")
    attempt: int
    problems_sha256: str = Field(description="Of the normalised problems, in order.")
    num_problems: int
    samples_per_problem: int
    temperature: float
    top_p: float
    max_response_tokens: int
    seed: int
    pass_at: dict[str, Estimate] = Field(
        description="Keyed by k; interval: bootstrap over problems."
    )
    fraction_no_answer: float
    fraction_truncated: float
    num_response_tokens: int
    seconds: float
    problems: tuple[ProblemCount, ...] = Field(
        description="Empty unless asked for with `include=problems`."
    )


class BenchmarkDifference(View):
    """Final minus baseline on the same problems; paired bootstrap over problems."""

    benchmark: str
    pass_at: dict[str, Estimate]


class JobResults(View):
    """Evaluations of one job. One run: training-seed variance is not included in any interval."""

    job_id: str
    evaluations: tuple[BenchmarkResult, ...]
    differences: tuple[BenchmarkDifference, ...]
    note: str


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
