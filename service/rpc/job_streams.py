"""Jobs as clients follow them: long polls and streams. What reads the database runs in a thread."""

from asyncio import to_thread
from collections.abc import AsyncGenerator

from service.jobs.results import Job, JobEvent
from service.jobs.state import TERMINAL_STATES
from service.operations import DEFAULT_PAGE_SIZE, Operations
from service.rpc.convert import job_message, view_message
from service.rpc.generated.driftgate.v1 import jobs_pb2 as pb
from service.rpc.statuses import ServerStopsError
from service.stream_subscriptions import StreamEnd

# How long a job that does not change is waited for at a time.
WATCH_S = 3600.0


async def job_when_changed(
    operations: Operations, request: pb.GetJobRequest, *, wait_s: float
) -> AsyncGenerator[pb.GetJobResponse, None]:
    """One answer: the job once it is of another version, or, where none is named, once it has ended; at last as
    it is.
    """
    if request.HasField("if_version_not"):
        version = await to_thread(operations.job_version, request.job_id)
        if version == request.if_version_not:
            await operations.tailer.wait_for_version(
                request.job_id, other_than=version, timeout_s=wait_s
            )
    else:
        await operations.tailer.wait_for_end(request.job_id, timeout_s=wait_s)
    yield pb.GetJobResponse(job=job_message(await to_thread(operations.get_job, request.job_id)))


async def changes_when_there(
    operations: Operations, request: pb.ListChangesRequest, *, wait_s: float
) -> AsyncGenerator[pb.ListChangesResponse, None]:
    """One answer: what follows the token, once there is something; at last nothing."""
    limit = request.page_size or DEFAULT_PAGE_SIZE
    changes = await to_thread(operations.list_changes, after=request.after, limit=limit)
    if not changes.changes and await operations.tailer.wait_for_change(
        request.after, timeout_s=wait_s
    ):
        changes = await to_thread(operations.list_changes, after=request.after, limit=limit)
    yield view_message(pb.ListChangesResponse, changes)


async def follow_job(
    operations: Operations, job_id: str, *, known_version: int | None
) -> AsyncGenerator[Job, None]:
    """The job at every change, until it has ended. Raises JOB_NOT_FOUND, also when it is deleted meanwhile."""
    version = known_version
    while True:
        job = await to_thread(operations.get_job, job_id)
        if job.version != version:
            yield job
            version = job.version
        if job.state in TERMINAL_STATES:
            return
        while not await operations.tailer.wait_for_version(
            job_id, other_than=job.version, timeout_s=WATCH_S
        ):
            if operations.tailer.is_closed:
                raise ServerStopsError


async def follow_events(
    operations: Operations, job_id: str, *, after_seq: int
) -> AsyncGenerator[JobEvent, None]:
    """Every event after the seq, until the job has ended and all were told.

    Raises JOB_NOT_FOUND, also when the job is deleted meanwhile, and INVALID_ARGUMENT for a seq that the job has
    not come to.
    """
    if await to_thread(operations.has_told_all, job_id, after=after_seq):
        return
    subscription = operations.tailer.subscribe(job_id, after_seq=after_seq)
    async with subscription:
        async for events in subscription:
            for event in events:
                yield event
    match subscription.end:
        case StreamEnd.JOB_DELETED:
            await to_thread(operations.get_job, job_id)
        case StreamEnd.SERVER_STOPS:
            raise ServerStopsError


async def follow_changes(
    operations: Operations, *, after: str | None
) -> AsyncGenerator[pb.StreamChangesResponse, None]:
    """The token from which the stream goes on, then every change. Raises INVALID_ARGUMENT for a foreign token."""
    now = await to_thread(operations.list_changes, after=after, limit=1)
    token = after or now.next_after
    yield pb.StreamChangesResponse(after=token)
    async with operations.tailer.subscribe_to_changes(token) as subscription:
        async for changes in subscription:
            for each in changes:
                change = view_message(pb.JobChange, each.change)
                yield pb.StreamChangesResponse(change=change, after=each.token)
    raise ServerStopsError
