"""The job whose samples are graded anew."""

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.evaluation_spec import EvaluationSpec
from service.jobs.results import Job
from service.jobs.spec import ExportJobSpec, RegradeJobSpec
from service.jobs.state import TERMINAL_STATES
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore


def find_regraded(spec: RegradeJobSpec, *, job_store: JobStore, result_store: ResultStore) -> Job:
    """The named job, which has ended and has finished an evaluation whose samples were kept.

    Raises JOB_NOT_FOUND, JOB_STATE_CONFLICT for a job that has not ended, and INVALID_SPEC for one that
    has nothing to grade.
    """
    job = job_store.get(spec.job_id)
    if job.state not in TERMINAL_STATES:
        raise DriftgateError(
            ErrorCode.JOB_STATE_CONFLICT,
            f"job_id names job {job.id}, which is {job.state} and still samples. Wait until it has "
            "ended, or cancel it.",
            [Violation("job_id", f"a {job.state} job", "a job that has ended")],
        )
    if isinstance(job.spec, RegradeJobSpec):
        raise _refusal(
            f"{job.id}, which is a regrade itself", allowed=f"{job.spec.job_id}, which it graded"
        )
    if not result_store.evaluated(job.id):
        raise _refusal(
            f"{job.id}, which has finished no evaluation", allowed="a job with an evaluation"
        )
    return job


def evaluation_of(job: Job) -> EvaluationSpec:
    """What a job that `find_regraded` found has sampled."""
    assert not isinstance(job.spec, RegradeJobSpec | ExportJobSpec), "find_regraded refuses them"
    return job.spec.evaluation


def _refusal(given: str, *, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"job_id: given {given}, allowed: {allowed}.",
        [Violation("job_id", given, allowed)],
    )
