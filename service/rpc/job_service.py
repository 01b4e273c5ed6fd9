"""JobService: each call is translated, handed to the operations, and translated back."""

import grpc

from service.jobs.job_queries import JobFilter
from service.operations import DEFAULT_PAGE_SIZE, Operations, parse_spec
from service.rpc.convert import job_message, job_states, plan_message, spec_data
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc


class JobService(jobs_pb2_grpc.JobServiceServicer):
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def CreateJob(
        self,
        request: jobs_pb2.CreateJobRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 gRPC's signature
    ) -> jobs_pb2.CreateJobResponse:
        spec = parse_spec(spec_data(request.spec))
        if request.validate_only:
            plan = self._operations.plan_job(spec)
            return jobs_pb2.CreateJobResponse(plan=plan_message(plan))
        job = self._operations.submit_job(spec, idempotency_key=request.request_id or None)
        return jobs_pb2.CreateJobResponse(job=job_message(job))

    def GetJob(
        self,
        request: jobs_pb2.GetJobRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> jobs_pb2.GetJobResponse:
        return jobs_pb2.GetJobResponse(job=job_message(self._operations.get_job(request.job_id)))

    def ListJobs(
        self,
        request: jobs_pb2.ListJobsRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> jobs_pb2.ListJobsResponse:
        page = self._operations.list_jobs(
            limit=request.page_size or DEFAULT_PAGE_SIZE,
            page_token=request.page_token or None,
            wanted=JobFilter(states=job_states(request.states)),
        )
        return jobs_pb2.ListJobsResponse(
            jobs=[job_message(job) for job in page.jobs],
            next_page_token=page.next_page_token or "",
        )

    def CancelJob(
        self,
        request: jobs_pb2.CancelJobRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> jobs_pb2.CancelJobResponse:
        job = self._operations.cancel_job(request.job_id)
        return jobs_pb2.CancelJobResponse(job=job_message(job))
