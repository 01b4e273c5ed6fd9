"""The same requests through both transports: the same job, the same refusal."""

from collections.abc import Iterator

import grpc
import pytest
from fastapi.testclient import TestClient
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from service.jobs.plans import Plan
from service.jobs.results import Job
from service.rest.app import create_app
from service.rpc.convert import fill_message, job_message, plan_message
from service.rpc.generated.driftgate.v1 import jobs_pb2, spec_pb2

FEW_PROBLEMS = {"source": "arithmetic", "num_problems": 8}
SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": FEW_PROBLEMS},
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128, "top_p": 0.9},
    "evaluation": {
        "benchmarks": [{"name": "chains", "problems": FEW_PROBLEMS}],
        "max_response_tokens": 128,
    },
}


@pytest.fixture
def rest(settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        yield client


def grpc_refusal(call, request) -> tuple[str, str, list[str]]:
    """Stable code, message and fields at fault."""
    with pytest.raises(grpc.RpcError) as refusal:
        call(request)
    status = rpc_status.from_call(refusal.value)
    info, bad_request = ErrorInfo(), BadRequest()
    assert status.details[0].Unpack(info)
    for detail in status.details[1:]:
        assert detail.Unpack(bad_request)
    return info.reason, status.message, [one.field for one in bad_request.field_violations]


def rest_refusal(answer) -> tuple[str, str, list[str]]:
    problem = answer.json()
    fields = [violation["field"] for violation in problem["violations"]]
    return problem["code"], problem["detail"], fields


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"seed": -1},
        {"gate": {"block_size": 0}},
        {"gate": {"strength": {"adaptive": -1.0}}},
        {"gate": {"min_span": 9, "max_span": 8}},
        {"objective": {"type": "teacher_topk", "k": 0}},
        {"objective": {"type": "teacher_topk", "k": 4000}},
        {"objective": {"type": "sampled_token", "clip_range": 2.0}},
        {"evaluation": {"samples_per_problem": 2, "k": [1, 4]}},
        {"reuse": {"epochs": 0, "minibatches": 0}},
        {"steps": 3, "optimizer": {"schedule": {"warmup_updates": 7}}},
        {"lora": {"rank": 0, "target_modules": ["not a name"]}},
        {"warm_start": {"job_id": "0199a", "step": -1}},
        {"warm_start": {"job_id": "0199a"}},
        {"labels": {"Not a key": "x"}},
        {"student": {"model": ""}},
        {"student": {"model": "builtin/nothing"}},
        {"teacher": {"model": "Qwen/Qwen3-4B"}},
        {"teacher": {"model": "/etc"}},
        {"teacher": {"model": "other-vocabulary"}},
        {"prompts": {"problems": {"source": "inline", "problems": []}}},
        {"prompts": {"problems": {"source": "inline", "problems": [{"id": "", "problem": "p"}]}}},
        {"prompts": {"problems": {"source": "file", "path": "absent.jsonl"}}},
    ],
)
@pytest.mark.usefixtures("other_vocabulary")
def test_a_refused_spec_is_refused_in_the_same_words(rest, stub, changes):
    message = spec_pb2.JobSpec()
    fill_message(message, SPEC | changes)

    by_rest = rest_refusal(rest.post("/v1/jobs", json=SPEC | changes))
    by_grpc = grpc_refusal(stub.CreateJob, jobs_pb2.CreateJobRequest(spec=message))

    assert by_grpc == by_rest


def test_a_job_made_by_one_transport_is_the_same_read_by_the_other(rest, stub):
    made = rest.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": "once"}).json()
    message = spec_pb2.JobSpec()
    fill_message(message, SPEC)

    again = stub.CreateJob(jobs_pb2.CreateJobRequest(spec=message, request_id="once")).job

    assert again == job_message(Job.model_validate_json(rest.get(f"/v1/jobs/{made['id']}").content))
    assert [warning.code for warning in again.warnings] == ["SAMPLED_OFF_POLICY"]
    assert MessageToDict(again.spec)["gate"]["blockSize"] == made["spec"]["gate"]["block_size"]


def test_a_plan_is_the_same_by_both_and_creates_nothing(rest, stub):
    body = SPEC | {"lora": {"rank": 4}, "steps": 1_000_000}
    message = spec_pb2.JobSpec()
    fill_message(message, body)
    request = jobs_pb2.CreateJobRequest(spec=message, validate_only=True)

    answer = stub.CreateJob(request)
    plan = Plan.model_validate_json(
        rest.post("/v1/jobs", params={"validate_only": "true"}, json=body).content
    )

    assert answer.plan == plan_message(plan)
    assert not answer.HasField("job")
    assert answer.plan.job.total.flops == plan.job.total.flops > 0
    assert answer.plan.HasField("trained_parameters")
    assert not answer.plan.HasField("time")
    assert [part.part for part in answer.plan.unknown] == ["time"]
    assert list(stub.ListJobs(jobs_pb2.ListJobsRequest()).jobs) == []


@pytest.mark.usefixtures("other_vocabulary")
def test_a_plan_is_refused_as_the_job_would_be(rest, stub):
    changes = {"teacher": {"model": "other-vocabulary"}}
    message = spec_pb2.JobSpec()
    fill_message(message, SPEC | changes)
    request = jobs_pb2.CreateJobRequest(spec=message, validate_only=True)

    planned = grpc_refusal(stub.CreateJob, request)

    assert planned == rest_refusal(rest.post("/v1/jobs", json=SPEC | changes))
    assert planned == rest_refusal(
        rest.post("/v1/jobs", params={"validate_only": "true"}, json=SPEC | changes)
    )


def test_requests_about_jobs_are_refused_in_the_same_words(rest, stub):
    job = rest.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": "once"}).json()
    message = spec_pb2.JobSpec()
    fill_message(message, SPEC | {"steps": 3})

    assert job["state"] == "queued"
    assert grpc_refusal(stub.GetJob, jobs_pb2.GetJobRequest(job_id="none")) == rest_refusal(
        rest.get("/v1/jobs/none")
    )
    assert grpc_refusal(
        stub.CreateJob, jobs_pb2.CreateJobRequest(spec=message, request_id="once")
    ) == rest_refusal(
        rest.post("/v1/jobs", json=SPEC | {"steps": 3}, headers={"Idempotency-Key": "once"})
    )
    assert grpc_refusal(stub.ListJobs, jobs_pb2.ListJobsRequest(page_token="bad")) == rest_refusal(
        rest.get("/v1/jobs", params={"page_token": "bad"})
    )
