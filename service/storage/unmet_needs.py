"""Waiting jobs that no live worker can take: their readers are told what is missing, once until that changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, and_, exists, false, not_, or_, select, update
from sqlalchemy.orm import Session

from service.jobs.capabilities import described_need
from service.jobs.state import JobState
from service.storage.sessions import Database
from service.storage.state_moves import tell_why_it_waits
from service.storage.tables import JobRow
from service.storage.waiting_lanes import lanes_of
from service.storage.worker_store import Worker

MAX_NEEDS = 100
GIBIBYTE = 2**30


def tell_of_unmet_needs(
    database: Database, workers: Sequence[Worker], *, waiting_s: float, limit: int
) -> int:
    """How many jobs, waiting for so long, got an event. workers: those that are live.

    A worker that is busy or put aside counts: it will take the job.
    """
    can_be_taken = or_(false(), *(_takes(worker) for worker in workers))
    with database.read() as session:
        now = database.now(session)
        has_met = session.scalar(select(exists().where(*_met(can_be_taken))))
        needs = session.execute(
            select(JobRow.queue, JobRow.needs_device, JobRow.needs_memory_bytes)
            .where(JobRow.state == JobState.QUEUED, not_(can_be_taken))
            .distinct()
            .limit(MAX_NEEDS)
        ).all()
    if has_met:  # seldom: a write is not begun for nothing
        with database.transaction() as session:
            session.execute(_forget_met(can_be_taken))
    since = now - timedelta(seconds=waiting_s)
    num_told = 0
    for queue, device, memory_bytes in needs:
        need = _Need(queue, device, memory_bytes)
        reason = f"{need.described()}; {_offers(workers, queue)}"
        with database.transaction() as session:
            for job_id in _untold(session, need, reason, since=since, limit=limit - num_told):
                num_told += tell_why_it_waits(
                    session, job_id, now=database.now(session), reason=reason
                )
    return num_told


@dataclass(frozen=True, slots=True)
class _Need:
    """What jobs have in common that lack the same."""

    queue: str
    device: str
    memory_bytes: int | None

    def described(self) -> str:
        memory = "" if self.memory_bytes is None else f" with {_gibibytes(self.memory_bytes)}"
        each = " each" if memory and "x" in self.device else ""
        return f"needs {described_need(self.device)}{memory}{each} on queue {self.queue}"

    def conditions(self) -> list[ColumnElement[bool]]:
        return [
            JobRow.queue == self.queue,
            JobRow.state == JobState.QUEUED,
            JobRow.needs_device == self.device,
            JobRow.needs_memory_bytes.is_not_distinct_from(self.memory_bytes),
        ]


def _takes(worker: Worker) -> ColumnElement[bool]:
    profile = worker.profile
    lanes = lanes_of(profile.queues, profile.capabilities)
    return or_(*(and_(*lane.holds(JobRow)) for lane in lanes))


def _met(can_be_taken: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    return [JobRow.state == JobState.QUEUED, JobRow.waits_because.is_not(None), can_be_taken]


def _forget_met(can_be_taken: ColumnElement[bool]) -> Update:
    return (
        update(JobRow)
        .where(*_met(can_be_taken))
        .values(waits_because=None)
        .execution_options(synchronize_session=False)
    )


def _untold(
    session: Session, need: _Need, reason: str, *, since: datetime, limit: int
) -> list[str]:
    """Ids of jobs that were not told this, oldest first."""
    return list(
        session.scalars(
            select(JobRow.id)
            .where(
                *need.conditions(),
                JobRow.updated_at < since,
                JobRow.waits_because.is_distinct_from(reason),
            )
            .order_by(JobRow.created_at)
            .limit(limit)
        )
    )


def _offers(workers: Sequence[Worker], queue: str) -> str:
    if not workers:
        return "no worker is live"
    offers = sorted({_offer(worker) for worker in workers if queue in worker.profile.queues})
    return (
        f"the live workers have {', '.join(offers)}"
        if offers
        else "no live worker serves that queue"
    )


def _offer(worker: Worker) -> str:
    capabilities = worker.profile.capabilities
    count = capabilities.num_devices
    offer = capabilities.device if count == 1 else f"{count} × {capabilities.device}"
    if capabilities.memory_bytes is None:
        return offer
    memory = _gibibytes(capabilities.memory_bytes)
    return f"{offer} with {memory}" if count == 1 else f"{offer} with {memory} each"


def _gibibytes(num_bytes: int) -> str:
    return f"{num_bytes / GIBIBYTE:.1f} GiB"
