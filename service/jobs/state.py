"""The states of a job and every legal move between them, as data."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands in its life (AIP-216)."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobPhase(StrEnum):
    """What the worker is doing with a job that it holds."""

    LOADING = "loading"
    BASELINE_EVALUATION = "baseline_evaluation"
    TRAINING = "training"
    CHECKPOINTING = "checkpointing"
    EVALUATING = "evaluating"
    EXPORTING = "exporting"


TERMINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

# A worker holds the lease of a job in one of these states.
HELD_STATES = frozenset(
    {JobState.STARTING, JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING}
)

# A held job goes back to QUEUED when its attempt ends without an answer (a crash, a drained worker).
EDGES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset(
        {JobState.STARTING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}
    ),
    JobState.STARTING: frozenset(
        {
            JobState.RUNNING,
            JobState.QUEUED,
            JobState.PAUSING,
            JobState.CANCELLING,
            JobState.FAILED,
        }
    ),
    JobState.RUNNING: frozenset(
        {
            JobState.QUEUED,
            JobState.PAUSING,
            JobState.CANCELLING,
            JobState.SUCCEEDED,
            JobState.FAILED,
        }
    ),
    # Back to RUNNING: a resume that comes before the worker has stopped. Where the child has stopped already,
    # its attempt ends without an answer and the job is queued.
    JobState.PAUSING: frozenset(
        {
            JobState.PAUSED,
            JobState.RUNNING,
            JobState.CANCELLING,
            JobState.SUCCEEDED,
            JobState.FAILED,
        }
    ),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

# A job that a worker holds pauses once it is saved, and goes on where that has not come about.
WHEN_PAUSED = {
    JobState.QUEUED: JobState.PAUSED,
    JobState.STARTING: JobState.PAUSING,
    JobState.RUNNING: JobState.PAUSING,
}
WHEN_RESUMED = {JobState.PAUSED: JobState.QUEUED, JobState.PAUSING: JobState.RUNNING}


def states_leading_to(target: JobState) -> frozenset[JobState]:
    """The states from which a job may move to `target`."""
    return frozenset(state for state, targets in EDGES.items() if target in targets)
