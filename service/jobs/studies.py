"""What a client reads back of a study: how far it is, what it will take, and what happened to it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from service.jobs.results import SpecWarning, View
from service.jobs.study_spec import StudySpec


class StudyState(StrEnum):
    """Where a study stands; the last two are final."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


ENDED_STUDY_STATES = frozenset({StudyState.CANCELLED, StudyState.COMPLETED})

# Of a run, beside the states of its job.
PENDING = "pending"
DELETED = "deleted"


class StudyRun(View):
    """One arm with one seed."""

    seed: int
    job_id: str | None = Field(description="null until it is submitted.")
    state: str = Field(
        description="`pending`: not submitted yet; else the job's, or `deleted` where the job is gone."
    )
    step: int = Field(description="Rollout batches finished.")
    total_steps: int
    collapsed: bool | None = Field(description="null until the run has ended and was looked at.")
    failure_code: str | None = Field(description="Why the job failed.")


class StudyArm(View):
    """One arm with its runs, in the order of the seeds."""

    name: str
    num_collapsed: int
    runs: tuple[StudyRun, ...]


class StudyProgress(View):
    """The runs of a study as one thing."""

    num_runs: int
    num_pending: int
    num_active: int = Field(description="Submitted and not ended.")
    num_succeeded: int
    num_failed: int
    num_cancelled: int
    num_deleted: int
    step: int = Field(description="Rollout batches finished, over all runs.")
    total_steps: int


class StudySummary(View):
    """A study as lists show it. Times are UTC."""

    id: str
    name: str | None
    state: StudyState
    reason: str | None = Field(description="Why it was cancelled, where nobody asked for that.")
    arms: tuple[str, ...]
    num_seeds: int
    progress: StudyProgress
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class Study(View):
    """A study with its runs. Times are UTC."""

    id: str
    name: str | None
    state: StudyState
    reason: str | None = Field(description="Why it was cancelled, where nobody asked for that.")
    progress: StudyProgress
    arms: tuple[StudyArm, ...]
    spec: StudySpec
    version: int = Field(description="Grows with every event of the study.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class StudyPage(View):
    """Newest first."""

    studies: tuple[StudySummary, ...]
    next_page_token: str | None


class StudyEvent(View):
    """One entry of a study's history; `seq` starts at 1 and has no gaps."""

    seq: int
    at: datetime
    type: str = Field(description="`state_changed`, `job_submitted` or `job_ended`.")
    state: StudyState
    message: str


class StudyEventPage(View):
    events: tuple[StudyEvent, ...]
    next_after: int = Field(description="Pass as `after` for what follows.")


class PlannedArm(View):
    """What one job of an arm would take, by its plan; upper bounds."""

    arm: str
    tokens: int | None
    flops: int | None
    seconds: float | None
    warnings: tuple[SpecWarning, ...]


class PlannedResolution(View):
    """What the seeds can tell of pass@k between two arms, under the assumed spread between seeds."""

    metric: str
    smallest_p_value: float = Field(
        description="What no outcome of so many shared seeds gets below."
    )
    can_resolve: bool = Field(
        description="Whether that is at most 5 % in the contrast's metric, and in the others at most 5 % over the number of "
        "exploratory comparisons, as Holm's first step asks."
    )
    smallest_detectable_difference: float | None = Field(
        description="Found with 80 % power at that level; null where nothing can be."
    )
    expected_half_width: float = Field(description="Of the 95 % interval of a difference.")
    seeds_needed: int | None = Field(
        description="To find `smallest_difference` at that level; null where it was not asked for, or beyond 1,000."
    )


class StudyPlan(View):
    """What a study would take that would be accepted, and what it could tell."""

    spec: StudySpec = Field(description="Every field is set, presets put in.")
    num_jobs: int
    arms: tuple[PlannedArm, ...]
    tokens: int | None = Field(description="Of all jobs; null where one is unknown.")
    flops: int | None
    seconds: float | None = Field(description="Of all jobs one after another.")
    seconds_side_by_side: float | None = Field(
        description="With `max_active_jobs` workers that are as fast as the measured one."
    )
    resolution: tuple[PlannedResolution, ...]
    notes: tuple[str, ...]
