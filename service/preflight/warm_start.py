"""The checkpoint that a job starts from, where its spec names an earlier job."""

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.results import Checkpoint, Job
from service.jobs.spec import JobSpec, WarmStartSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.state import TERMINAL_STATES
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore

MAX_STEPS_NAMED = 20


def find_warm_start(
    warm_start: WarmStartSpec,
    *,
    student: ModelSpec,
    job_store: JobStore,
    result_store: ResultStore,
) -> Checkpoint:
    """The named step's checkpoint, or the newest. Its files are the worker's to check.

    Raises INVALID_SPEC for a job or step that is not there or of another student, and
    JOB_STATE_CONFLICT for a job that has not ended: it may still remove what it saved.
    """
    job = _earlier_job(warm_start, job_store=job_store)
    if job.state not in TERMINAL_STATES:
        raise DriftgateError(
            ErrorCode.JOB_STATE_CONFLICT,
            f"warm_start.job_id names job {job.id}, which is {job.state} and still changes its "
            "checkpoints. Wait until it has ended, or cancel it.",
            [Violation("warm_start.job_id", f"a {job.state} job", "a job that has ended")],
        )
    if not isinstance(job.spec, JobSpec):
        raise _refusal(
            "warm_start.job_id",
            given=f"{job.id}, which trained nothing",
            allowed="a distillation job",
        )
    if not job.spec.student.is_same_model(student):
        raise _refusal(
            "student.model",
            given=_reference(student),
            allowed=f"{_reference(job.spec.student)}, the student of job {job.id}",
        )
    checkpoints = result_store.latest_checkpoints(job.id)
    if not checkpoints:
        raise _refusal(
            "warm_start.job_id",
            given=f"{job.id}, which is {job.state} and saved no checkpoint",
            allowed="a job with a checkpoint",
        )
    if warm_start.step is None:
        return checkpoints[0]
    # A checkpoint that was cut inside the next step has the same number and lies before it in the list.
    of_step = [each for each in checkpoints if each.step == warm_start.step]
    if not of_step:
        steps = sorted({each.step for each in checkpoints}, reverse=True)[:MAX_STEPS_NAMED]
        raise _refusal(
            "warm_start.step",
            given=str(warm_start.step),
            allowed=f"a step that job {job.id} keeps: {', '.join(map(str, steps))}",
        )
    return of_step[-1]


def _earlier_job(warm_start: WarmStartSpec, *, job_store: JobStore) -> Job:
    try:
        return job_store.get(warm_start.job_id)
    except DriftgateError as error:
        if error.code is not ErrorCode.JOB_NOT_FOUND:
            raise
    raise _refusal("warm_start.job_id", given=warm_start.job_id, allowed="the id of an earlier job")


def _reference(model: ModelSpec) -> str:
    return model.model if model.revision is None else f"{model.model} at {model.revision}"


def _refusal(field: str, *, given: str, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"{field}: given {given}, allowed: {allowed}.",
        [Violation(field, given, allowed)],
    )
