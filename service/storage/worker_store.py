"""Workers in SQL: who claims jobs, what they have, when they were last seen, and which are put aside."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.jobs.capabilities import Capabilities, Device, device_need
from service.storage.sessions import Database
from service.storage.tables import WorkerRow


@dataclass(frozen=True, slots=True)
class WorkerProfile:
    """What a worker says of itself when it starts; aside_s: for how long it is put aside the first time."""

    owner: str
    host: str
    capabilities: Capabilities
    queues: tuple[str, ...]
    version: str
    aside_s: float


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it was last seen; aside_until is in the future or None."""

    profile: WorkerProfile
    started_at: datetime
    seen_at: datetime
    is_live: bool
    aside_until: datetime | None
    aside_reason: str | None


class WorkerStore:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def see(self, profile: WorkerProfile) -> datetime | None:
        """Note that the worker is there, the first time with all of its profile; until when it is put aside."""
        with self._database.transaction() as session:
            now = self._database.now(session)
            seen = session.execute(
                update(WorkerRow)
                .where(WorkerRow.owner == profile.owner)
                .values(seen_at=now)
                .returning(WorkerRow.aside_until)
            ).first()
            if seen is None:
                session.add(_new_row(profile, now=now))
                return None
            return _if_future(seen.aside_until, now=now)

    def leave(self, owner: str) -> None:
        """The worker ended, and claims nothing more."""
        with self._database.transaction() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.owner == owner))

    def list_workers(self, *, live_within_s: float) -> list[Worker]:
        """Last seen first. Live are those that were seen within the time."""
        with self._database.read() as session:
            now = self._database.now(session)
            live_since = now - timedelta(seconds=live_within_s)
            rows = session.scalars(
                select(WorkerRow).order_by(WorkerRow.seen_at.desc(), WorkerRow.owner)
            )
            return [_view(row, now=now, is_live=row.seen_at >= live_since) for row in rows]

    def forget_unseen(self, *, after_s: float) -> int:
        """How many rows went, of workers that were not seen for so long."""
        with self._database.transaction() as session:
            unseen_since = self._database.now(session) - timedelta(seconds=after_s)
            gone = session.execute(
                delete(WorkerRow).where(WorkerRow.seen_at < unseen_since).returning(WorkerRow.owner)
            )
            return len(gone.all())


def is_aside(session: Session, owner: str, *, now: datetime) -> bool:
    """Whether the worker may claim nothing now."""
    until = session.scalar(select(WorkerRow.aside_until).where(WorkerRow.owner == owner))
    return _if_future(until, now=now) is not None


def _new_row(profile: WorkerProfile, *, now: datetime) -> WorkerRow:
    return WorkerRow(
        owner=profile.owner,
        host=profile.host,
        device=device_need(profile.capabilities.device, profile.capabilities.num_devices),
        memory_bytes=profile.capabilities.memory_bytes,
        queues=list(profile.queues),
        version=profile.version,
        started_at=now,
        seen_at=now,
        aside_s=profile.aside_s,
        num_times_aside=0,
    )


def _view(row: WorkerRow, *, now: datetime, is_live: bool) -> Worker:
    aside_until = _if_future(row.aside_until, now=now)
    count, _, name = row.device.rpartition("x")
    device: Device = "cuda" if name == "cuda" else "cpu"
    return Worker(
        profile=WorkerProfile(
            owner=row.owner,
            host=row.host,
            capabilities=Capabilities(device, row.memory_bytes, int(count or 1)),
            queues=tuple(row.queues),
            version=row.version,
            aside_s=row.aside_s,
        ),
        started_at=row.started_at,
        seen_at=row.seen_at,
        is_live=is_live,
        aside_until=aside_until,
        aside_reason=row.aside_reason if aside_until else None,
    )


def _if_future(time: datetime | None, *, now: datetime) -> datetime | None:
    return time if time is not None and time > now else None
