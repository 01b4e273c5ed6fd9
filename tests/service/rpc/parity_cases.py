"""Refusals that a client can meet, each provoked by REST and by gRPC."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.errors import ErrorCode
from service.preflight.folder_signature import BUILTIN_FOLDER
from service.rpc.convert import message_of
from service.rpc.generated.driftgate.v1 import (
    api_keys_pb2,
    checkpoints_pb2,
    datasets_pb2,
    jobs_pb2,
    results_pb2,
    spec_pb2,
    studies_pb2,
    webhooks_pb2,
)
from tests.saved_checkpoints import saved_job, truncate
from tests.service.rpc.parity_studies import STUDY_REFUSALS, same_study
from tests.service.rpc.parity_worlds import SPEC, World

UNKNOWN_ID = "0" * 32
ROW = b'{"id": "1", "problem": "1+1", "answer": "2"}\n'


@dataclass(frozen=True)
class Case:
    """same_words: False where the two name their own addresses, or REST's framework words a parameter.

    own_names: by REST's name of a field, gRPC's of the same.
    """

    name: str
    code: ErrorCode
    rest: Callable[[World], Any]
    grpc: Callable[[World], Any]
    world: str = "open"
    same_words: bool = True
    own_names: Mapping[str, str] = field(default_factory=dict)


# Codes that no case provokes, and why.
NOT_MET_BY_BOTH: Mapping[ErrorCode, str] = {
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: "gRPC has one content type; its core refuses others itself.",
    ErrorCode.METHOD_NOT_ALLOWED: "An RPC has no method of HTTP that could be another.",
    ErrorCode.RANGE_NOT_SATISFIABLE: "An RPC has an offset in place of a range: INVALID_ARGUMENT.",
    ErrorCode.FORBIDDEN_ORIGIN: "Only a browser sends an origin, and browsers do not speak gRPC.",
    ErrorCode.PROMPT_TOO_LONG: "Only the worker tokenizes prompts: the job fails with it.",
    ErrorCode.SECRET_NOT_FOUND: "Only the worker reads secrets: the job fails with it.",
    ErrorCode.EXPORT_FAILED: "Only the worker exports: the job fails with it.",
    ErrorCode.LEASE_LOST: "Only workers hold leases.",
    ErrorCode.NON_FINITE_LOSS: "Only the worker trains: the job fails with it.",
    ErrorCode.ENGINE_OUT_OF_SYNC: "Only the worker has engines: the job fails with it.",
    ErrorCode.TEACHER_UNAVAILABLE: "Only the worker asks a teacher's server: the job waits for it.",
    ErrorCode.TEACHER_INVALID: "Only the worker asks a teacher's server: the job fails with it.",
    ErrorCode.OUT_OF_MEMORY: "Only the worker runs out of it: the job fails with it.",
    ErrorCode.DISK_FULL: "Only the worker keeps whole models: the job fails with it.",
    ErrorCode.POISON_QUARANTINED: "Only the reconciler gives a job up: the job fails with it.",
    ErrorCode.DEADLINE_EXCEEDED: "Only a worker or the reconciler ends a job by it: the job fails with it.",
    ErrorCode.UNSAFE_BIND: "The command line refuses to start a server.",
}


def spec_case(name: str, code: ErrorCode, changes: Callable[[World], Mapping[str, Any]]) -> Case:
    """A spec that both refuse."""

    def by_grpc(world: World) -> Any:
        message = message_of(spec_pb2.JobSpec, SPEC | changes(world))
        return world.stubs.jobs.CreateJob(jobs_pb2.CreateJobRequest(spec=message))

    return Case(
        name,
        code,
        rest=lambda world: world.rest.post("/v1/jobs", json=SPEC | changes(world)),
        grpc=by_grpc,
    )


def prompts(**source: object) -> dict[str, object]:
    return {"prompts": {"problems": source}}


def other_vocabulary(world: World) -> dict[str, object]:
    folder = BUILTIN_FOLDER / "arithmetic-teacher"
    files = {path.name: path.read_text("latin-1") for path in folder.glob("*.json")}
    tokenizer = files["tokenizer.json"]
    files["tokenizer.json"] = (
        tokenizer.replace('"1":', '"?":').replace('"2":', '"1":').replace('"?":', '"2":')
    )
    name = world.model("other-vocabulary", files)
    (world.settings.resolved_model_root() / name / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()
    )
    return {"teacher": {"model": name}}


SPEC_CASES = [
    spec_case("no steps", ErrorCode.INVALID_SPEC, lambda _: {"steps": 0}),
    spec_case("several fields", ErrorCode.INVALID_SPEC, lambda _: {"steps": 0, "seed": -1}),
    spec_case(
        "a rule across fields",
        ErrorCode.INVALID_SPEC,
        lambda _: {"gate": {"min_span": 9, "max_span": 8}},
    ),
    spec_case(
        "gradients that cannot be measured",
        ErrorCode.INVALID_SPEC,
        lambda _: {"resources": {"gpus": 2}, "diagnostics": {"gradient_fidelity": {}}},
    ),
    spec_case("a label", ErrorCode.INVALID_SPEC, lambda _: {"labels": {"Not a key": "x"}}),
    spec_case(
        "no such model",
        ErrorCode.MODEL_NOT_FOUND,
        lambda _: {"student": {"model": "builtin/nothing"}},
    ),
    spec_case(
        "a model elsewhere",
        ErrorCode.MODEL_OUTSIDE_ROOT,
        lambda _: {"teacher": {"model": "../outside"}},
    ),
    spec_case(
        "a hub model of others",
        ErrorCode.MODEL_NOT_ALLOWED,
        lambda _: {"teacher": {"model": "someone/model"}},
    ),
    spec_case(
        "a model that is none",
        ErrorCode.MODEL_INVALID,
        lambda world: {
            "student": {"model": world.model("broken", {"config.json": "{", "tokenizer.json": "{"})}
        },
    ),
    spec_case(
        "the hub away",
        ErrorCode.HUB_UNAVAILABLE,
        lambda _: {"teacher": {"model": "Qwen/Qwen3-4B"}},
    ),
    spec_case("other token ids", ErrorCode.VOCABULARY_MISMATCH, other_vocabulary),
    spec_case(
        "too large a support",
        ErrorCode.SUPPORT_TOO_LARGE,
        lambda _: {"objective": {"type": "teacher_topk", "k": 4000}},
    ),
    spec_case(
        "no such file",
        ErrorCode.DATASET_NOT_FOUND,
        lambda _: prompts(source="file", path="absent.jsonl"),
    ),
    spec_case(
        "no such upload",
        ErrorCode.DATASET_NOT_FOUND,
        lambda _: prompts(source="dataset", dataset_id=f"ds-{UNKNOWN_ID}"),
    ),
    spec_case(
        "a file elsewhere",
        ErrorCode.DATASET_OUTSIDE_ROOT,
        lambda _: prompts(source="file", path="../passwd"),
    ),
    spec_case(
        "a file that is none",
        ErrorCode.DATASET_INVALID,
        lambda world: prompts(source="file", path=world.file("bad.jsonl", "no JSON\n")),
    ),
    spec_case(
        "no prompt",
        ErrorCode.PROMPTS_EMPTY,
        lambda world: prompts(source="file", path=world.file("empty.jsonl", "\n")),
    ),
]


def twice_with_key(world: World, *, by_grpc: bool) -> Any:
    """The same key before two specs that differ."""
    key = "grpc" if by_grpc else "rest"
    for steps in (5, 6):
        if by_grpc:
            spec = message_of(spec_pb2.JobSpec, SPEC | {"steps": steps})
            answer = world.stubs.jobs.CreateJob(
                jobs_pb2.CreateJobRequest(spec=spec, request_id=key)
            )
        else:
            answer = world.rest.post(
                "/v1/jobs", json=SPEC | {"steps": steps}, headers={"Idempotency-Key": key}
            )
    return answer


def cancelled(world: World) -> str:
    job_id = world.job()
    world.operations.cancel_job(job_id)
    return job_id


def used_dataset(world: World) -> str:
    dataset_id = world.dataset(ROW)
    world.job(**prompts(source="dataset", dataset_id=dataset_id))
    return dataset_id


def whole_checkpoint(world: World) -> str:
    return saved_job(world.database, world.settings).job.id


def corrupt_checkpoint(world: World) -> str:
    saved = saved_job(world.database, world.settings)
    truncate(saved.folder(4) / "model.safetensors")
    return saved.job.id


def get(path: str, **parameters: object) -> Callable[[World], Any]:
    return lambda world: world.rest.get(path, params=parameters)


JOB_CASES = [
    Case(
        "no such job",
        ErrorCode.JOB_NOT_FOUND,
        rest=get(f"/v1/jobs/{UNKNOWN_ID}"),
        grpc=lambda world: world.stubs.jobs.GetJob(jobs_pb2.GetJobRequest(job_id=UNKNOWN_ID)),
    ),
    Case(
        "no such job to follow",
        ErrorCode.JOB_NOT_FOUND,
        rest=get(f"/v1/jobs/{UNKNOWN_ID}/events:stream"),
        grpc=lambda world: world.stubs.jobs.StreamEvents(
            jobs_pb2.StreamEventsRequest(job_id=UNKNOWN_ID)
        ),
    ),
    Case(
        "another list's token",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs", page_token="bad"),
        grpc=lambda world: world.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_token="bad")),
    ),
    Case(
        "another feed's token",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs:changes", after="bad"),
        grpc=lambda world: world.stubs.jobs.ListChanges(jobs_pb2.ListChangesRequest(after="bad")),
    ),
    Case(
        "another feed's token for a stream",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs:watch", after="bad"),
        grpc=lambda world: world.stubs.jobs.StreamChanges(
            jobs_pb2.StreamChangesRequest(after="bad")
        ),
    ),
    Case(
        "too large a page",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs", page_size=1001),
        grpc=lambda world: world.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=1001)),
        same_words=False,
    ),
    Case(
        "an order that is none",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs", order_by="name"),
        grpc=lambda world: world.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest(order_by="name")),
        same_words=False,
    ),
    Case(
        "a name with a control character",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs", model="a\0b"),
        grpc=lambda world: world.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest(model="a\0b")),
    ),
    Case(
        "a priority that is none",
        ErrorCode.INVALID_ARGUMENT,
        rest=lambda world: world.rest.patch(f"/v1/jobs/{UNKNOWN_ID}", json={"priority": 10**6}),
        grpc=lambda world: world.stubs.jobs.UpdateJob(
            jobs_pb2.UpdateJobRequest(job_id=UNKNOWN_ID, priority=10**6)
        ),
    ),
    Case(
        "no such metric",
        ErrorCode.INVALID_ARGUMENT,
        rest=lambda world: world.rest.get(f"/v1/jobs/{world.same_job()}/metrics?names=nothing"),
        grpc=lambda world: world.stubs.results.GetMetrics(
            results_pb2.GetMetricsRequest(job_id=world.same_job(), names=["nothing"])
        ),
    ),
    Case(
        "the gradients of no job",
        ErrorCode.JOB_NOT_FOUND,
        rest=get(f"/v1/jobs/{UNKNOWN_ID}/gradient-fidelity"),
        grpc=lambda world: world.stubs.results.GetGradientFidelity(
            results_pb2.GetGradientFidelityRequest(job_id=UNKNOWN_ID)
        ),
    ),
    Case(
        "a job that kept no drift by token",
        ErrorCode.NO_TOKEN_DRIFT,
        rest=lambda world: world.rest.get(f"/v1/jobs/{world.same_job()}/gate:simulate"),
        grpc=lambda world: world.stubs.results.SimulateGate(
            results_pb2.SimulateGateRequest(job_id=world.same_job())
        ),
    ),
    Case(
        "a gate that is none over a job's updates",
        ErrorCode.INVALID_ARGUMENT,
        rest=lambda world: world.rest.get(
            f"/v1/jobs/{world.same_job()}/gate:simulate?min_span=9&max_span=8&adaptive=50"
        ),
        grpc=lambda world: world.stubs.results.SimulateGate(
            results_pb2.SimulateGateRequest(
                job_id=world.same_job(),
                gate=message_of(
                    spec_pb2.GateSpec,
                    {"min_span": 9, "max_span": 8, "strength": {"adaptive": 50.0}},
                ),
            )
        ),
    ),
    Case(
        "a job beside itself",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/comparisons", job_id=[UNKNOWN_ID, UNKNOWN_ID]),
        grpc=lambda world: world.stubs.results.CompareJobs(
            results_pb2.CompareJobsRequest(job_ids=[UNKNOWN_ID, UNKNOWN_ID])
        ),
        own_names={"job_id": "job_ids"},
    ),
    Case(
        "a job beside one that is not there",
        ErrorCode.JOB_NOT_FOUND,
        rest=lambda world: world.rest.get(
            "/v1/comparisons", params={"job_id": [world.same_job(), UNKNOWN_ID]}
        ),
        grpc=lambda world: world.stubs.results.CompareJobs(
            results_pb2.CompareJobsRequest(job_ids=[world.same_job(), UNKNOWN_ID])
        ),
        own_names={"job_id": "job_ids"},
    ),
    Case(
        "no jobs at all",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs:batchGet"),
        grpc=lambda world: world.stubs.jobs.BatchGetJobs(jobs_pb2.BatchGetJobsRequest()),
        same_words=False,
    ),
    Case(
        "a curve of no such metric",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/metrics:query", job_id=UNKNOWN_ID, key="nothing"),
        grpc=lambda world: world.stubs.results.QueryMetrics(
            results_pb2.QueryMetricsRequest(job_ids=[UNKNOWN_ID], keys=["nothing"])
        ),
        own_names={"key": "keys"},
    ),
    Case(
        "curves of no metric",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/metrics:query", job_id=UNKNOWN_ID),
        grpc=lambda world: world.stubs.results.QueryMetrics(
            results_pb2.QueryMetricsRequest(job_ids=[UNKNOWN_ID])
        ),
        same_words=False,
    ),
    Case(
        "events from before the first",
        ErrorCode.INVALID_ARGUMENT,
        rest=get(f"/v1/jobs/{UNKNOWN_ID}/events", after=-1),
        grpc=lambda world: world.stubs.jobs.ListEvents(
            jobs_pb2.ListEventsRequest(job_id=UNKNOWN_ID, after_seq=-1)
        ),
        same_words=False,
    ),
    Case(
        "a stream of events that a job has not come to",
        ErrorCode.INVALID_ARGUMENT,
        rest=lambda world: world.rest.get(
            f"/v1/jobs/{world.same_job()}/events:stream", params={"after": 99}
        ),
        grpc=lambda world: world.stubs.jobs.StreamEvents(
            jobs_pb2.StreamEventsRequest(job_id=world.same_job(), after_seq=99)
        ),
        own_names={"after": "after_seq"},
    ),
    Case(
        "a label with a control character",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/jobs", label="team=a\0b"),
        grpc=lambda world: world.stubs.jobs.ListJobs(
            jobs_pb2.ListJobsRequest(labels={"team": "a\0b"})
        ),
        own_names={"label": "labels"},
    ),
    Case(
        "an idempotency key that is none",
        ErrorCode.INVALID_ARGUMENT,
        rest=lambda world: world.rest.post(
            "/v1/jobs", json=SPEC, headers={"Idempotency-Key": "k" * 256}
        ),
        grpc=lambda world: world.stubs.jobs.CreateJob(
            jobs_pb2.CreateJobRequest(spec=message_of(spec_pb2.JobSpec, SPEC), request_id="k" * 256)
        ),
        own_names={"idempotency_key": "request_id"},
    ),
    Case(
        "another spec under a key",
        ErrorCode.IDEMPOTENCY_CONFLICT,
        rest=lambda world: twice_with_key(world, by_grpc=False),
        grpc=lambda world: twice_with_key(world, by_grpc=True),
        same_words=False,
    ),
    Case(
        "a version that has passed",
        ErrorCode.VERSION_CONFLICT,
        rest=lambda world: world.rest.patch(
            f"/v1/jobs/{world.same_job()}", json={"priority": 1}, headers={"If-Match": '"99"'}
        ),
        grpc=lambda world: world.stubs.jobs.UpdateJob(
            jobs_pb2.UpdateJobRequest(job_id=world.same_job(), priority=1, if_version=99)
        ),
        own_names={"version": "if_version"},
    ),
    Case(
        "a job that has ended",
        ErrorCode.JOB_STATE_CONFLICT,
        rest=lambda world: world.rest.post(f"/v1/jobs/{world.same(cancelled)}:pause"),
        grpc=lambda world: world.stubs.jobs.PauseJob(
            jobs_pb2.PauseJobRequest(job_id=world.same(cancelled))
        ),
    ),
    Case(
        "a job that has not ended",
        ErrorCode.JOB_STATE_CONFLICT,
        rest=lambda world: world.rest.delete(f"/v1/jobs/{world.same_job()}"),
        grpc=lambda world: world.stubs.jobs.DeleteJob(
            jobs_pb2.DeleteJobRequest(job_id=world.same_job())
        ),
    ),
    Case(
        "a job that the service cannot read",
        ErrorCode.INTERNAL,
        rest=lambda world: world.rest.get(f"/v1/jobs/{world.break_job(world.job())}"),
        grpc=lambda world: world.stubs.jobs.GetJob(
            jobs_pb2.GetJobRequest(job_id=world.break_job(world.job()))
        ),
    ),
    Case(
        "too large a request",
        ErrorCode.PAYLOAD_TOO_LARGE,
        rest=lambda world: world.rest.post("/v1/jobs", json={"name": "x" * 150_000}),
        grpc=lambda world: world.stubs.jobs.CreateJob(
            jobs_pb2.CreateJobRequest(request_id="x" * 150_000)
        ),
        same_words=False,
    ),
    Case(
        "no such address",
        ErrorCode.ROUTE_NOT_FOUND,
        rest=get("/v1/nothing"),
        grpc=lambda world: world.stubs.channel.unary_unary("/driftgate.v1.JobService/Nothing")(b""),
        same_words=False,
    ),
    Case(
        "no such address, with a key",
        ErrorCode.UNAUTHENTICATED,
        rest=get("/v1/nothing"),
        grpc=lambda world: world.stubs.channel.unary_unary("/driftgate.v1.JobService/Nothing")(b""),
        world="locked",
    ),
    Case(
        "the database away",
        ErrorCode.DATABASE_UNAVAILABLE,
        rest=get("/v1/jobs"),
        grpc=lambda world: world.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest()),
        world="broken",
    ),
]

OTHER_CASES = [
    Case(
        "no such checkpoint",
        ErrorCode.RESOURCE_NOT_FOUND,
        rest=lambda world: world.rest.get(f"/v1/jobs/{world.same_job()}/checkpoints/3"),
        grpc=lambda world: world.stubs.checkpoints.GetCheckpoint(
            checkpoints_pb2.GetCheckpointRequest(job_id=world.same_job(), step="3")
        ),
    ),
    Case(
        "a checkpoint that was changed",
        ErrorCode.CHECKPOINT_CORRUPT,
        rest=lambda world: world.rest.get(
            f"/v1/jobs/{world.same(corrupt_checkpoint)}/checkpoints/4/files/model.safetensors"
        ),
        grpc=lambda world: world.stubs.checkpoints.DownloadCheckpoint(
            checkpoints_pb2.DownloadCheckpointRequest(
                job_id=world.same(corrupt_checkpoint), step="4", file="model.safetensors"
            )
        ),
    ),
    Case(
        "no such file of a checkpoint",
        ErrorCode.RESOURCE_NOT_FOUND,
        rest=lambda world: world.rest.get(
            f"/v1/jobs/{world.same(whole_checkpoint)}/checkpoints/4/files/nothing"
        ),
        grpc=lambda world: world.stubs.checkpoints.DownloadCheckpoint(
            checkpoints_pb2.DownloadCheckpointRequest(
                job_id=world.same(whole_checkpoint), step="4", file="nothing"
            )
        ),
        own_names={"name": "file"},
    ),
    Case(
        "no such API key",
        ErrorCode.RESOURCE_NOT_FOUND,
        rest=get(f"/v1/api-keys/{UNKNOWN_ID}"),
        grpc=lambda world: world.stubs.api_keys.GetApiKey(
            api_keys_pb2.GetApiKeyRequest(key_id=UNKNOWN_ID)
        ),
        own_names={"api_key_id": "key_id"},
    ),
    Case(
        "no such data set",
        ErrorCode.RESOURCE_NOT_FOUND,
        rest=get(f"/v1/datasets/ds-{UNKNOWN_ID}"),
        grpc=lambda world: world.stubs.datasets.GetDataset(
            datasets_pb2.GetDatasetRequest(dataset_id=f"ds-{UNKNOWN_ID}")
        ),
    ),
    Case(
        "a data set in use",
        ErrorCode.JOB_IN_USE,
        rest=lambda world: world.rest.delete(f"/v1/datasets/{world.same(used_dataset)}"),
        grpc=lambda world: world.stubs.datasets.DeleteDataset(
            datasets_pb2.DeleteDatasetRequest(dataset_id=world.same(used_dataset))
        ),
    ),
    Case(
        "an upload with a row that is none",
        ErrorCode.DATASET_INVALID,
        rest=lambda world: world.rest.post(
            "/v1/datasets", content=b'{"problem": 1}', headers={"content-type": "application/jsonl"}
        ),
        grpc=lambda world: world.stubs.datasets.UploadDataset(
            iter([datasets_pb2.UploadDatasetRequest(chunk=b'{"problem": 1}')])
        ),
    ),
    Case(
        "an upload with a key twice in its second row",
        ErrorCode.DATASET_INVALID,
        rest=lambda world: world.rest.post(
            "/v1/datasets",
            content=ROW + b'{"problem": "2+2", "problem": "3+3"}',
            headers={"content-type": "application/jsonl"},
        ),
        grpc=lambda world: world.stubs.datasets.UploadDataset(
            iter(
                [
                    datasets_pb2.UploadDatasetRequest(
                        chunk=ROW + b'{"problem": "2+2", "problem": "3+3"}'
                    )
                ]
            )
        ),
    ),
    Case(
        "the artifact store away",
        ErrorCode.ARTIFACTS_UNAVAILABLE,
        rest=lambda world: world.rest.post(
            "/v1/datasets", content=ROW, headers={"content-type": "application/jsonl"}
        ),
        grpc=lambda world: world.stubs.datasets.UploadDataset(
            iter([datasets_pb2.UploadDatasetRequest(chunk=ROW)])
        ),
        world="stranded",
    ),
    Case(
        "a webhook to this machine",
        ErrorCode.WEBHOOK_TARGET_FORBIDDEN,
        rest=lambda world: world.rest.post("/v1/webhooks", json={"url": "https://127.0.0.1/"}),
        grpc=lambda world: world.stubs.webhooks.CreateWebhook(
            webhooks_pb2.CreateWebhookRequest(url="https://127.0.0.1/")
        ),
    ),
    Case(
        "a webhook without an address",
        ErrorCode.INVALID_ARGUMENT,
        rest=lambda world: world.rest.post("/v1/webhooks", json={}),
        grpc=lambda world: world.stubs.webhooks.CreateWebhook(webhooks_pb2.CreateWebhookRequest()),
    ),
    Case(
        "an export to nowhere",
        ErrorCode.INVALID_ARGUMENT,
        rest=lambda world: world.rest.post(
            f"/v1/jobs/{UNKNOWN_ID}/checkpoints/latest:export", json={}
        ),
        grpc=lambda world: world.stubs.checkpoints.ExportCheckpoint(
            checkpoints_pb2.ExportCheckpointRequest(job_id=UNKNOWN_ID, step="latest")
        ),
    ),
]


def over_rate(world: World, *, by_grpc: bool) -> Any:
    key = world.key(max_requests_per_minute=1)
    for _ in range(2):
        answer = (
            world.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=key.metadata)
            if by_grpc
            else world.rest.get("/v1/jobs", headers=key.headers)
        )
    return answer


def over_quota(world: World, *, by_grpc: bool) -> Any:
    key = world.key(max_queued_jobs=1)
    request = jobs_pb2.CreateJobRequest(spec=message_of(spec_pb2.JobSpec, SPEC))
    for _ in range(2):
        answer = (
            world.stubs.jobs.CreateJob(request, metadata=key.metadata)
            if by_grpc
            else world.rest.post("/v1/jobs", json=SPEC, headers=key.headers)
        )
    return answer


STUDY_CASES = [
    *(
        Case(
            name,
            ErrorCode.INVALID_SPEC,
            rest=lambda world, body=body: world.rest.post("/v1/studies", json=body),
            grpc=lambda world, body=body: world.stubs.studies.CreateStudy(
                studies_pb2.CreateStudyRequest(spec=message_of(studies_pb2.StudySpec, body))
            ),
        )
        for name, body in STUDY_REFUSALS.items()
    ),
    Case(
        "no such study",
        ErrorCode.STUDY_NOT_FOUND,
        rest=get(f"/v1/studies/{UNKNOWN_ID}"),
        grpc=lambda world: world.stubs.studies.GetStudy(
            studies_pb2.GetStudyRequest(study_id=UNKNOWN_ID)
        ),
    ),
    Case(
        "no such study to judge",
        ErrorCode.STUDY_NOT_FOUND,
        rest=get("/v1/studies/a/verdict"),
        grpc=lambda world: world.stubs.studies.GetStudyVerdict(
            studies_pb2.GetStudyVerdictRequest(study_id="a")
        ),
    ),
    Case(
        "a study that has not ended",
        ErrorCode.STUDY_STATE_CONFLICT,
        rest=lambda world: world.rest.delete(f"/v1/studies/{world.same(same_study)}"),
        grpc=lambda world: world.stubs.studies.DeleteStudy(
            studies_pb2.DeleteStudyRequest(study_id=world.same(same_study))
        ),
    ),
    Case(
        "another list of studies' token",
        ErrorCode.INVALID_ARGUMENT,
        rest=get("/v1/studies", page_token="bad"),
        grpc=lambda world: world.stubs.studies.ListStudies(
            studies_pb2.ListStudiesRequest(page_token="bad")
        ),
    ),
    Case(
        "a study's events before the first",
        ErrorCode.INVALID_ARGUMENT,
        rest=get(f"/v1/studies/{UNKNOWN_ID}/events", after=-1),
        grpc=lambda world: world.stubs.studies.ListStudyEvents(
            studies_pb2.ListStudyEventsRequest(study_id=UNKNOWN_ID, after_seq=-1)
        ),
        same_words=False,
    ),
]

KEY_CASES = [
    Case(
        "no key",
        ErrorCode.UNAUTHENTICATED,
        rest=get("/v1/jobs"),
        grpc=lambda world: world.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest()),
        world="locked",
    ),
    Case(
        "an unknown key",
        ErrorCode.UNAUTHENTICATED,
        rest=lambda world: world.rest.get(
            "/v1/jobs", headers={"authorization": f"Bearer dg_{'A' * 43}"}
        ),
        grpc=lambda world: world.stubs.jobs.ListJobs(
            jobs_pb2.ListJobsRequest(), metadata=(("authorization", f"Bearer dg_{'A' * 43}"),)
        ),
        world="locked",
    ),
    Case(
        "a key that may read",
        ErrorCode.PERMISSION_DENIED,
        rest=lambda world: world.rest.post("/v1/jobs", headers=world.key("read").headers),
        grpc=lambda world: world.stubs.jobs.CreateJob(
            jobs_pb2.CreateJobRequest(), metadata=world.key("read").metadata
        ),
        world="locked",
        same_words=False,
    ),
    Case(
        "a key that is not an admin's",
        ErrorCode.PERMISSION_DENIED,
        rest=lambda world: world.rest.get("/v1/api-keys", headers=world.key("write").headers),
        grpc=lambda world: world.stubs.api_keys.ListApiKeys(
            api_keys_pb2.ListApiKeysRequest(), metadata=world.key("write").metadata
        ),
        world="locked",
        same_words=False,
    ),
    Case(
        "a first key over the network",
        ErrorCode.PERMISSION_DENIED,
        rest=lambda world: world.rest.post("/v1/api-keys", json={"name": "mine"}),
        grpc=lambda world: world.stubs.api_keys.CreateApiKey(
            api_keys_pb2.CreateApiKeyRequest(name="mine")
        ),
    ),
    Case(
        "too many requests",
        ErrorCode.RATE_LIMITED,
        rest=lambda world: over_rate(world, by_grpc=False),
        grpc=lambda world: over_rate(world, by_grpc=True),
        world="locked",
    ),
    Case(
        "too many waiting jobs",
        ErrorCode.QUOTA_EXCEEDED,
        rest=lambda world: over_quota(world, by_grpc=False),
        grpc=lambda world: over_quota(world, by_grpc=True),
        world="locked",
    ),
]

CASES = [*SPEC_CASES, *JOB_CASES, *OTHER_CASES, *KEY_CASES, *STUDY_CASES]
