import grpc
import pytest

from service.error_catalogue import CATALOGUE
from service.errors import ErrorCode
from service.jobs.state import JobState
from service.rpc.generated.driftgate.v1 import jobs_pb2, spec_pb2
from tests.service.rpc.refusals import refusal_by_grpc

FEW_PROBLEMS = spec_pb2.ProblemSource(arithmetic=spec_pb2.ArithmeticSource(num_problems=8))


def small_spec(**changes: object) -> spec_pb2.JobSpec:
    """A job of the built-in pair that passes every check without a warning."""
    spec = spec_pb2.JobSpec(
        student=spec_pb2.ModelSpec(model="builtin/arithmetic-student"),
        teacher=spec_pb2.ModelSpec(model="builtin/arithmetic-teacher"),
        prompts=spec_pb2.PromptsSpec(problems=FEW_PROBLEMS),
        gate=spec_pb2.GateSpec(block_size=16),
        rollout=spec_pb2.RolloutSpec(max_prompt_tokens=64, max_response_tokens=128, top_p=1.0),
        evaluation=spec_pb2.EvaluationSpec(
            benchmarks=[spec_pb2.BenchmarkSpec(name="chains", problems=FEW_PROBLEMS)],
            max_response_tokens=128,
        ),
    )
    spec.MergeFrom(spec_pb2.JobSpec(**changes))
    return spec


def create(stub, *, request_id: str = "", **changes: object) -> jobs_pb2.Job:
    request = jobs_pb2.CreateJobRequest(spec=small_spec(**changes), request_id=request_id)
    return stub.CreateJob(request).job


def refusal_of(call, request) -> tuple[grpc.StatusCode, str, list[str], str]:
    """gRPC code, stable code, fields at fault and message of the error that the call ends with."""
    code, refusal = refusal_by_grpc(lambda: call(request))
    return code, refusal.code, refusal.fields, refusal.message


def catalogue_code(code: ErrorCode) -> grpc.StatusCode:
    return grpc.StatusCode[CATALOGUE[code].grpc_code]


def test_a_job_is_created_read_listed_and_cancelled(stub):
    job = create(stub, name="first", labels={"team": "a"})

    assert job.state == jobs_pb2.JOB_STATE_QUEUED
    assert (job.name, dict(job.labels), list(job.warnings)) == ("first", {"team": "a"}, [])
    assert job.spec.gate.block_size == 16
    assert job.spec.gate.kernel == spec_pb2.KERNEL_EXP
    assert job.progress.total_steps == 200
    assert stub.GetJob(jobs_pb2.GetJobRequest(job_id=job.id)).job == job
    assert list(stub.ListJobs(jobs_pb2.ListJobsRequest()).jobs) == [job]

    cancelled = stub.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id)).job

    assert cancelled.state == jobs_pb2.JOB_STATE_CANCELLED
    assert cancelled.HasField("cancel_requested_at")
    assert cancelled.version > job.version
    assert stub.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id)).job == cancelled


def test_jobs_are_listed_newest_first_in_pages_and_by_state(stub):
    ids = [create(stub, name=str(index)).id for index in range(3)]
    stub.CancelJob(jobs_pb2.CancelJobRequest(job_id=ids[1]))

    first = stub.ListJobs(jobs_pb2.ListJobsRequest(page_size=2))
    second = stub.ListJobs(jobs_pb2.ListJobsRequest(page_size=2, page_token=first.next_page_token))
    queued = stub.ListJobs(jobs_pb2.ListJobsRequest(states=[jobs_pb2.JOB_STATE_QUEUED]))

    assert [job.id for job in (*first.jobs, *second.jobs)] == ids[::-1]
    assert (len(first.jobs), second.next_page_token) == (2, "")
    assert [job.id for job in queued.jobs] == [ids[2], ids[0]]


def test_a_request_id_gives_the_same_job_again_and_refuses_another_spec(stub):
    job = create(stub, request_id="r-1", steps=5)

    assert create(stub, request_id="r-1", steps=5) == job
    code, reason, _, _ = refusal_of(
        stub.CreateJob, jobs_pb2.CreateJobRequest(spec=small_spec(steps=6), request_id="r-1")
    )

    assert (code, reason) == (
        catalogue_code(ErrorCode.IDEMPOTENCY_CONFLICT),
        "IDEMPOTENCY_CONFLICT",
    )
    assert len(stub.ListJobs(jobs_pb2.ListJobsRequest()).jobs) == 1


def test_a_gate_of_one_block_is_said_to_be_the_sequence_gate(stub):
    job = create(stub, gate=spec_pb2.GateSpec(block_size=128))

    assert [(warning.code, warning.field) for warning in job.warnings] == [
        ("BLOCK_IS_SEQUENCE", "gate.block_size")
    ]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"steps": 0}, ErrorCode.INVALID_SPEC, "steps"),
        ({"steps": -1}, ErrorCode.INVALID_SPEC, "steps"),
        (
            {"gate": spec_pb2.GateSpec(block_size=0)},
            ErrorCode.INVALID_SPEC,
            "gate.block_size",
        ),
        ({"gate": spec_pb2.GateSpec(kernel=99)}, ErrorCode.INVALID_SPEC, "gate.kernel"),
        (
            {"evaluation": spec_pb2.EvaluationSpec(samples_per_problem=4)},
            ErrorCode.INVALID_SPEC,
            "evaluation.samples_per_problem",
        ),
        (
            {"rollout": spec_pb2.RolloutSpec(max_response_tokens=40_000)},
            ErrorCode.INVALID_SPEC,
            "rollout.max_response_tokens",
        ),
        (
            {"student": spec_pb2.ModelSpec(model="builtin/nothing")},
            ErrorCode.MODEL_NOT_FOUND,
            "student.model",
        ),
        (
            {"student": spec_pb2.ModelSpec(model="../../etc")},
            ErrorCode.MODEL_OUTSIDE_ROOT,
            "student.model",
        ),
        (
            {"teacher": spec_pb2.ModelSpec(model="Evil/model")},
            ErrorCode.MODEL_NOT_ALLOWED,
            "teacher.model",
        ),
        (
            {"teacher": spec_pb2.ModelSpec(model="Qwen/Qwen3-4B")},
            ErrorCode.HUB_UNAVAILABLE,
            "teacher.model",
        ),
        (
            {"teacher": spec_pb2.ModelSpec(model="other-vocabulary")},
            ErrorCode.VOCABULARY_MISMATCH,
            "teacher.model",
        ),
        (
            {"objective": spec_pb2.Objective(teacher_topk=spec_pb2.TeacherTopKObjective(k=4000))},
            ErrorCode.SUPPORT_TOO_LARGE,
            "objective.k",
        ),
        (
            {
                "prompts": spec_pb2.PromptsSpec(
                    problems=spec_pb2.ProblemSource(inline=spec_pb2.InlineSource())
                )
            },
            ErrorCode.PROMPTS_EMPTY,
            "prompts.problems",
        ),
        (
            {
                "prompts": spec_pb2.PromptsSpec(
                    problems=spec_pb2.ProblemSource(file=spec_pb2.FileSource(path="/etc/passwd"))
                )
            },
            ErrorCode.DATASET_OUTSIDE_ROOT,
            "prompts.problems.path",
        ),
    ],
)
@pytest.mark.usefixtures("other_vocabulary")
def test_what_cannot_run_is_refused_with_code_and_field_and_nothing_is_stored(
    stub, changes, code, field
):
    request = jobs_pb2.CreateJobRequest(spec=small_spec(**changes))

    grpc_code, reason, fields, message = refusal_of(stub.CreateJob, request)

    assert (grpc_code, reason) == (catalogue_code(code), code)
    assert field in fields
    assert message
    assert not stub.ListJobs(jobs_pb2.ListJobsRequest()).jobs


def test_a_request_without_a_spec_names_what_is_missing(stub):
    code, reason, fields, _ = refusal_of(stub.CreateJob, jobs_pb2.CreateJobRequest())

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SPEC")
    assert fields == ["student", "teacher", "prompts"]


def test_a_field_of_a_newer_client_is_refused_instead_of_dropped(stub):
    spec = small_spec()
    spec.rollout.MergeFromString(b"\xc0\x3e\x01")  # field 1000, a varint

    _, reason, fields, message = refusal_of(stub.CreateJob, jobs_pb2.CreateJobRequest(spec=spec))

    assert (reason, fields) == ("INVALID_SPEC", ["rollout"])
    assert "field number 1000" in message


@pytest.mark.parametrize("call", ["GetJob", "CancelJob"])
@pytest.mark.parametrize("job_id", ["", "nothing", "x" * 1000, "ä\x00"])
def test_a_job_that_does_not_exist_is_not_found(stub, call, job_id):
    request = getattr(jobs_pb2, f"{call}Request")(job_id=job_id)

    code, reason, _, _ = refusal_of(getattr(stub, call), request)

    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


def test_a_finished_job_cannot_be_cancelled(stub, job_store):
    job = create(stub)
    lease = job_store.claim(queue="default", owner="w", lease_s=60).lease
    job_store.start_running(lease)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="done")

    code, reason, _, message = refusal_of(stub.CancelJob, jobs_pb2.CancelJobRequest(job_id=job.id))

    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")
    assert job.id in message


@pytest.mark.parametrize(
    "request_",
    [
        jobs_pb2.ListJobsRequest(page_size=-1),
        jobs_pb2.ListJobsRequest(page_token="not a token"),
        jobs_pb2.ListJobsRequest(states=[99]),
        jobs_pb2.ListJobsRequest(states=[jobs_pb2.JOB_STATE_UNSPECIFIED]),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(stub, request_):
    code, reason, _, _ = refusal_of(stub.ListJobs, request_)

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")


def test_a_refusal_of_thousands_of_fields_still_arrives(stub):
    # Each of these is wrong, and what is said of them takes three bytes a letter in the trailers.
    labels = {"Ä" * 1000 + str(index): "ä" for index in range(2000)}

    code, reason, fields, _ = refusal_of(
        stub.CreateJob, jobs_pb2.CreateJobRequest(spec=small_spec(labels=labels))
    )

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SPEC")
    assert fields
