"""JobService: each call is translated, handed to the operations, and translated back."""

from collections.abc import AsyncGenerator

from service.jobs.access import Caller
from service.jobs.job_queries import JobFilter, JobOrder
from service.jobs.patches import JobPatch
from service.jobs.spec import JobKind
from service.operations import DEFAULT_NUM_EVENTS, DEFAULT_PAGE_SIZE, Operations, parse_spec
from service.rpc.convert import job_message, plan_message, view_message
from service.rpc.generated.driftgate.v1 import jobs_pb2 as pb
from service.rpc.generated.driftgate.v1 import spec_pb2
from service.rpc.job_streams import (
    changes_when_there,
    follow_changes,
    follow_events,
    follow_job,
    job_when_changed,
)
from service.rpc.requests import (
    choice_of_text,
    choices,
    job_states,
    parse_body,
    spec_data,
    text_of,
    time_of,
    wait_s_of,
)


class JobService:
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def CreateJob(self, request: pb.CreateJobRequest, caller: Caller) -> pb.CreateJobResponse:
        spec = parse_spec(spec_data(request.spec))
        if request.validate_only:
            return pb.CreateJobResponse(plan=plan_message(self._operations.plan_job(spec)))
        job = self._operations.submit_job(
            spec, idempotency_key=request.request_id or None, caller=caller
        )
        return pb.CreateJobResponse(job=job_message(job))

    def GetJob(
        self, request: pb.GetJobRequest, _caller: Caller
    ) -> pb.GetJobResponse | AsyncGenerator[pb.GetJobResponse, None]:
        wait_s = wait_s_of(request)
        if wait_s:
            return job_when_changed(self._operations, request, wait_s=wait_s)
        return pb.GetJobResponse(job=job_message(self._operations.get_job(request.job_id)))

    def BatchGetJobs(
        self, request: pb.BatchGetJobsRequest, _caller: Caller
    ) -> pb.BatchGetJobsResponse:
        batch = self._operations.get_jobs(list(request.job_ids))
        return view_message(pb.BatchGetJobsResponse, batch)

    def ListJobs(self, request: pb.ListJobsRequest, _caller: Caller) -> pb.ListJobsResponse:
        page = self._operations.list_jobs(
            limit=request.page_size or DEFAULT_PAGE_SIZE,
            page_token=request.page_token or None,
            wanted=JobFilter(
                states=job_states(request.states),
                kinds=choices(JobKind, spec_pb2.JobKind.DESCRIPTOR, request.kinds, field="kinds"),
                labels=dict(request.labels),
                model=text_of(request, "model"),
                created_from=time_of(request, "created_from"),
                created_before=time_of(request, "created_before"),
            ),
            order=JobOrder(
                choice_of_text(JobOrder, request.order_by or JobOrder.NEWEST, field="order_by")
            ),
        )
        return view_message(pb.ListJobsResponse, page)

    def UpdateJob(self, request: pb.UpdateJobRequest, _caller: Caller) -> pb.UpdateJobResponse:
        patch = parse_body(
            JobPatch,
            request,
            without=("job_id", "if_version", "removed_labels"),
            labels=dict(request.labels) | dict.fromkeys(request.removed_labels),
        )
        job = self._operations.patch_job(
            request.job_id,
            patch,
            if_version=request.if_version if request.HasField("if_version") else None,
        )
        return pb.UpdateJobResponse(job=job_message(job))

    def CancelJob(self, request: pb.CancelJobRequest, _caller: Caller) -> pb.CancelJobResponse:
        return pb.CancelJobResponse(job=job_message(self._operations.cancel_job(request.job_id)))

    def PauseJob(self, request: pb.PauseJobRequest, _caller: Caller) -> pb.PauseJobResponse:
        return pb.PauseJobResponse(job=job_message(self._operations.pause_job(request.job_id)))

    def ResumeJob(self, request: pb.ResumeJobRequest, _caller: Caller) -> pb.ResumeJobResponse:
        return pb.ResumeJobResponse(job=job_message(self._operations.resume_job(request.job_id)))

    def DeleteJob(self, request: pb.DeleteJobRequest, _caller: Caller) -> pb.DeleteJobResponse:
        self._operations.delete_job(request.job_id)
        return pb.DeleteJobResponse()

    def ListChanges(
        self, request: pb.ListChangesRequest, _caller: Caller
    ) -> pb.ListChangesResponse | AsyncGenerator[pb.ListChangesResponse, None]:
        wait_s = wait_s_of(request)
        if wait_s and request.after:
            return changes_when_there(self._operations, request, wait_s=wait_s)
        changes = self._operations.list_changes(
            after=request.after or None, limit=request.page_size or DEFAULT_PAGE_SIZE
        )
        return view_message(pb.ListChangesResponse, changes)

    def ListEvents(self, request: pb.ListEventsRequest, _caller: Caller) -> pb.ListEventsResponse:
        page = self._operations.list_events(
            request.job_id,
            after=request.after_seq,
            limit=request.page_size or DEFAULT_NUM_EVENTS,
        )
        return view_message(pb.ListEventsResponse, page)

    def ListAttempts(
        self, request: pb.ListAttemptsRequest, _caller: Caller
    ) -> pb.ListAttemptsResponse:
        attempts = self._operations.list_attempts(request.job_id)
        return view_message(pb.ListAttemptsResponse, attempts)

    async def WatchJob(
        self, request: pb.WatchJobRequest, _caller: Caller
    ) -> AsyncGenerator[pb.WatchJobResponse, None]:
        known = request.if_version_not if request.HasField("if_version_not") else None
        async for job in follow_job(self._operations, request.job_id, known_version=known):
            yield pb.WatchJobResponse(job=job_message(job))

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, _caller: Caller
    ) -> AsyncGenerator[pb.StreamEventsResponse, None]:
        async for event in follow_events(
            self._operations, request.job_id, after_seq=request.after_seq
        ):
            yield pb.StreamEventsResponse(event=view_message(pb.JobEvent, event))

    async def StreamChanges(
        self, request: pb.StreamChangesRequest, _caller: Caller
    ) -> AsyncGenerator[pb.StreamChangesResponse, None]:
        async for answer in follow_changes(self._operations, after=request.after or None):
            yield answer
