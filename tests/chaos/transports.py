"""One request to the service, by REST or by gRPC, and what came of it."""

from dataclasses import dataclass
from typing import Protocol

import grpc
import httpx
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.rpc.convert import spec_message
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from tests.chaos.history import Outcome, Verb

TIMEOUT_S = 5.0
# So short that the request is sent and its answer lost.
IMPATIENCE_S = 0.002
SERVER_IS_AWAY = 503
NOT_MODIFIED = 304
FIRST_REFUSAL = 400
FIRST_DEFECT = 500


@dataclass(frozen=True, slots=True)
class Request:
    """key, spec: of a create. label: key and value, of a patch. known: what a get has seen already."""

    verb: Verb
    job_id: str | None = None
    key: str | None = None
    spec: JobSpec | None = None
    label: tuple[str, str] | None = None
    known: tuple[int, JobState] | None = None
    is_impatient: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    job_id: str | None = None
    version: int | None = None
    state: JobState | None = None
    code: str | None = None


LOST = Answer(Outcome.UNKNOWN)


class Transport(Protocol):
    def send(self, request: Request) -> Answer: ...

    def close(self) -> None: ...


class Rest:
    def __init__(self, url: str, *, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    def send(self, request: Request) -> Answer:
        try:
            response = self._http.send(self._built(request))
        except httpx.HTTPError:
            return LOST
        if response.status_code == NOT_MODIFIED:
            version, state = request.known
            return Answer(Outcome.ACKNOWLEDGED, request.job_id, version, state)
        if response.status_code == SERVER_IS_AWAY:
            return LOST
        if response.status_code >= FIRST_REFUSAL:
            is_defect = response.status_code >= FIRST_DEFECT
            code = "INTERNAL" if is_defect else response.json()["code"]
            return Answer(Outcome.UNKNOWN if is_defect else Outcome.REFUSED, code=code)
        if request.verb is Verb.DELETE:
            return Answer(Outcome.ACKNOWLEDGED, request.job_id)
        job = response.json()
        return Answer(Outcome.ACKNOWLEDGED, job["id"], job["version"], JobState(job["state"]))

    def close(self) -> None:
        self._http.close()

    def _built(self, request: Request) -> httpx.Request:
        path = f"/v1/jobs/{request.job_id}"
        impatience = httpx.Timeout(TIMEOUT_S, read=IMPATIENCE_S)
        options = {"timeout": impatience} if request.is_impatient else {}
        match request.verb:
            case Verb.CREATE:
                body = request.spec.model_dump(mode="json")
                headers = {"Idempotency-Key": request.key}
                return self._http.build_request(
                    "POST", "/v1/jobs", json=body, headers=headers, **options
                )
            case Verb.GET:
                headers = (
                    {} if request.known is None else {"If-None-Match": f'"{request.known[0]}"'}
                )
                return self._http.build_request("GET", path, headers=headers)
            case Verb.PATCH:
                body = {"labels": dict([request.label])}
                return self._http.build_request("PATCH", path, json=body)
            case Verb.DELETE:
                return self._http.build_request("DELETE", path)
            case _:
                return self._http.build_request("POST", f"{path}:{request.verb}")


class Grpc:
    def __init__(self, port: int, *, api_key: str) -> None:
        self._channel = grpc_channel(port)
        self._stub = jobs_pb2_grpc.JobServiceStub(self._channel)
        self._metadata = [("authorization", f"Bearer {api_key}")]

    def send(self, request: Request) -> Answer:
        timeout_s = IMPATIENCE_S if request.is_impatient else TIMEOUT_S
        method, message = self._built(request)
        try:
            reply = method(message, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            return _refusal(error)
        if request.verb is Verb.DELETE:
            return Answer(Outcome.ACKNOWLEDGED, request.job_id)
        state_name = jobs_pb2.JobState.Name(reply.job.state)
        state = JobState(state_name.removeprefix("JOB_STATE_").lower())
        return Answer(Outcome.ACKNOWLEDGED, reply.job.id, reply.job.version, state)

    def close(self) -> None:
        self._channel.close()

    def _built(self, request: Request):
        job_id = request.job_id
        match request.verb:
            case Verb.CREATE:
                spec = spec_message(request.spec)
                message = jobs_pb2.CreateJobRequest(spec=spec, request_id=request.key)
                return self._stub.CreateJob, message
            case Verb.GET:
                return self._stub.GetJob, jobs_pb2.GetJobRequest(job_id=job_id)
            case Verb.CANCEL:
                return self._stub.CancelJob, jobs_pb2.CancelJobRequest(job_id=job_id)
            case Verb.PAUSE:
                return self._stub.PauseJob, jobs_pb2.PauseJobRequest(job_id=job_id)
            case Verb.RESUME:
                return self._stub.ResumeJob, jobs_pb2.ResumeJobRequest(job_id=job_id)
            case Verb.PATCH:
                labels = dict([request.label])
                return self._stub.UpdateJob, jobs_pb2.UpdateJobRequest(job_id=job_id, labels=labels)
            case Verb.DELETE:
                return self._stub.DeleteJob, jobs_pb2.DeleteJobRequest(job_id=job_id)


def grpc_channel(port: int) -> grpc.Channel:
    options = [
        # Otherwise a channel that met a dead server waits for seconds before it looks again.
        ("grpc.max_reconnect_backoff_ms", 500),
        ("grpc.enable_retries", 0),
        # Otherwise runs side by side would share a connection to a port that two of them had by turns.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)


def _refusal(error: grpc.RpcError) -> Answer:
    """A status without a reason of the catalogue came from no operation of the service."""
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else []:
        info = ErrorInfo()
        if detail.Unpack(info):
            if info.reason == "INTERNAL":
                return Answer(Outcome.UNKNOWN, code=info.reason)
            if info.metadata.get("retryable") == "true":
                return LOST
            return Answer(Outcome.REFUSED, code=info.reason)
    return LOST
