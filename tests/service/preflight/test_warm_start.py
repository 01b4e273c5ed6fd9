"""Where a warm start leads, on a real database."""

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.records import CheckpointRecord
from service.jobs.spec import JobSpec, WarmStartSpec
from service.jobs.spec_fields import ModelSpec, SecretRef
from service.jobs.state import JobState
from service.preflight.warm_start import find_warm_start
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database

STUDENT = ModelSpec(model="builtin/arithmetic-student")
# Six updates a step; update 15 is in the middle of the third.
SAVED = ((1, 6), (2, 12), (2, 15), (5, 30))


class EarlierJobs:
    def __init__(self, database: Database) -> None:
        self.job_store = JobStore(database)
        self.result_store = ResultStore(database)

    def ended(self, state: JobState, saved: tuple[tuple[int, int], ...] = SAVED) -> str:
        lease = self.running(saved)
        self.job_store.finish(lease, state=state, failure=None, message="Ended.")
        return lease.job_id

    def running(self, saved: tuple[tuple[int, int], ...] = SAVED):
        spec = JobSpec.model_validate(
            {
                "student": STUDENT,
                "teacher": {"model": "builtin/arithmetic-teacher"},
                "prompts": {"problems": {"source": "arithmetic"}},
                "steps": 5,
                "reuse": {"epochs": 2, "minibatches": 3},
            }
        )
        self.job_store.create(spec, warnings=(), queue="default")
        claim = self.job_store.claim(queue="default", owner="test", lease_s=60)
        assert claim is not None
        self.job_store.start_running(claim.lease)
        for step, update in saved:
            record = CheckpointRecord(
                step=step,
                update=update,
                uri=f"/artifacts/update-{update}",
                size_bytes=1,
                manifest_sha256="a" * 64,
                final=step == 5,
            )
            self.result_store.record_checkpoint(claim.lease, record)
        return claim.lease

    def find(self, job_id: str, step: int | None = None, student: ModelSpec = STUDENT) -> int:
        """The update of the checkpoint."""
        found = find_warm_start(
            WarmStartSpec(job_id=job_id, step=step),
            student=student,
            job_store=self.job_store,
            result_store=self.result_store,
        )
        return found.update

    def refusal(self, job_id: str, **request: object) -> tuple[ErrorCode, str, str, str]:
        with pytest.raises(DriftgateError) as caught:
            self.find(job_id, **request)
        (violation,) = caught.value.violations
        return caught.value.code, violation.field, violation.given, violation.allowed


@pytest.fixture
def earlier(database: Database) -> EarlierJobs:
    return EarlierJobs(database)


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
def test_the_newest_checkpoint_of_an_ended_job_or_the_end_of_the_named_step(
    earlier: EarlierJobs, state: JobState
) -> None:
    job_id = earlier.ended(state)
    assert earlier.find(job_id) == 30
    assert earlier.find(job_id, step=1) == 6
    assert earlier.find(job_id, step=2) == 12


def test_the_student_is_the_same_whatever_secret_it_is_read_with(earlier):
    job_id = earlier.ended(JobState.SUCCEEDED)
    with_token = STUDENT.model_copy(update={"hub_token": SecretRef(secret="HUB_TOKEN")})

    assert earlier.find(job_id, student=with_token) == 30


def test_a_step_that_is_not_kept_is_refused_with_those_that_are(earlier: EarlierJobs) -> None:
    job_id = earlier.ended(JobState.SUCCEEDED)
    assert earlier.refusal(job_id, step=3) == (
        ErrorCode.INVALID_SPEC,
        "warm_start.step",
        "3",
        f"a step that job {job_id} keeps: 5, 2, 1",
    )


def test_an_unknown_job_is_refused(earlier: EarlierJobs) -> None:
    expected = (
        ErrorCode.INVALID_SPEC,
        "warm_start.job_id",
        "0123",
        "the id of an earlier job",
    )
    assert earlier.refusal("0123") == expected


def test_a_job_that_still_runs_is_refused_because_its_checkpoints_change(
    earlier: EarlierJobs,
) -> None:
    assert earlier.refusal(earlier.running().job_id) == (
        ErrorCode.JOB_STATE_CONFLICT,
        "warm_start.job_id",
        "a running job",
        "a job that has ended",
    )


def test_a_job_without_a_checkpoint_is_refused(earlier: EarlierJobs) -> None:
    code, field, given, _ = earlier.refusal(earlier.ended(JobState.FAILED, saved=()))
    assert (code, field) == (ErrorCode.INVALID_SPEC, "warm_start.job_id")
    assert given.endswith("which is failed and saved no checkpoint")


def test_another_student_is_refused(earlier: EarlierJobs) -> None:
    job_id = earlier.ended(JobState.SUCCEEDED)
    assert earlier.refusal(job_id, student=ModelSpec(model="org/other", revision="v1")) == (
        ErrorCode.INVALID_SPEC,
        "student.model",
        "org/other at v1",
        f"builtin/arithmetic-student, the student of job {job_id}",
    )
