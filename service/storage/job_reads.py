"""Jobs in SQL as clients read them: one, several, pages, what changed, and their history."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, func, select, tuple_

from service.jobs.job_queries import JobFilter, JobOrder
from service.jobs.results import (
    Attempt,
    Job,
    JobAttempts,
    JobBatch,
    JobChanges,
    JobEvent,
    JobEventPage,
    JobPage,
)
from service.jobs.state import JobState
from service.storage.change_feed import (
    FeedChange,
    FeedPlace,
    newest_place,
    read_changes,
    read_feed,
)
from service.storage.job_lists import job_list, token_after
from service.storage.job_rows import (
    SELECT_JOB,
    SELECT_JOB_WITHOUT_SPEC,
    event_view,
    job_row,
    job_view,
    no_such_job,
)
from service.storage.known_specs import KnownSpecs
from service.storage.lease_store import LeaseStore
from service.storage.row_ids import is_id
from service.storage.sessions import Database
from service.storage.tables import AttemptRow, JobEventRow, JobRow
from service.storage.whole_jobs import num_that_fit, whole_jobs

NO_FILTER = JobFilter()
SELECT_VERSION = select(JobRow.version).where(JobRow.id == bindparam("job_id"))


class JobMark(NamedTuple):
    """What tells whether a job has changed, and whether it has more to tell."""

    version: int
    last_event_seq: int
    state: JobState


class JobReads(LeaseStore):
    """Every method is one read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._known_specs = KnownSpecs()

    def get(self, job_id: str) -> Job:
        """Raises JOB_NOT_FOUND."""
        spec = self._known_specs.get(job_id)
        query = SELECT_JOB if spec is None else SELECT_JOB_WITHOUT_SPEC
        rows = self._database.polled_rows(query, {"job_id": job_id}) if is_id(job_id) else ()
        if not rows:
            raise no_such_job(job_id)
        job = job_view(rows[0], spec=spec)
        if spec is None:
            self._known_specs.add(job_id, job.spec)
        return job

    def version(self, job_id: str) -> int:
        """What grows with every change of the job, without the job. Raises JOB_NOT_FOUND."""
        place = {"job_id": job_id}
        rows = self._database.polled_rows(SELECT_VERSION, place) if is_id(job_id) else ()
        if not rows:
            raise no_such_job(job_id)
        version: int = rows[0].version
        return version

    def get_batch(self, job_ids: Sequence[str]) -> JobBatch:
        with self._database.read() as session:
            known = [job_id for job_id in job_ids if is_id(job_id)]
            rows = session.scalars(select(JobRow).where(JobRow.id.in_(known)))
            jobs = {row.id: job_view(row) for row in rows}
        return JobBatch(
            jobs=tuple(jobs[job_id] for job_id in job_ids if job_id in jobs),
            missing=tuple(job_id for job_id in job_ids if job_id not in jobs),
        )

    def list_jobs(
        self,
        *,
        limit: int,
        page_token: str | None = None,
        wanted: JobFilter = NO_FILTER,
        order: JobOrder = JobOrder.NEWEST,
    ) -> JobPage:
        """At most `limit` jobs, fewer where their specs are long. Raises INVALID_ARGUMENT for a token of another list."""
        query = job_list(wanted, order, token=page_token)
        with self._database.read() as session:
            rows = session.execute(query.limit(limit + 1)).all()
            page = rows[: min(limit, num_that_fit([row.spec_characters for row in rows]))]
            more = len(rows) > len(page)
            return JobPage(
                jobs=tuple(whole_jobs(session, page).values()),
                next_page_token=token_after(page[-1], wanted, order) if more else None,
            )

    def changes(self, *, after: str | None, limit: int) -> JobChanges:
        """See `service.storage.change_feed`."""
        with self._database.read() as session:
            return read_changes(
                session, after=after, limit=limit, is_postgres=self._database.is_postgres
            )

    def events(self, job_id: str, *, after: int = 0, limit: int = 500) -> JobEventPage:
        """Oldest first, from the one that follows `after`. Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            rows = session.scalars(
                select(JobEventRow)
                .where(JobEventRow.job_id == job_id, JobEventRow.seq > after)
                .order_by(JobEventRow.seq)
                .limit(limit)
            ).all()
            return JobEventPage(
                events=tuple(event_view(row) for row in rows),
                next_after=rows[-1].seq if rows else after,
            )

    def event_messages(self, job_id: str, *, event_type: str) -> tuple[str, ...]:
        """Of all events of one type, oldest first."""
        rows = self._database.rows(
            select(JobEventRow.message)
            .where(JobEventRow.job_id == job_id, JobEventRow.type == event_type)
            .order_by(JobEventRow.seq)
        )
        return tuple(row.message for row in rows)

    def mark(self, job_id: str) -> JobMark:
        """Raises JOB_NOT_FOUND."""
        mark = self.marks([job_id]).get(job_id)
        if mark is None:
            raise no_such_job(job_id)
        return mark

    def marks(self, job_ids: Sequence[str]) -> dict[str, JobMark]:
        """By id, those of the jobs that are there, in one query."""
        known = [job_id for job_id in job_ids if is_id(job_id)]
        rows = self._database.rows(
            select(JobRow.id, JobRow.version, JobRow.last_event_seq, JobRow.state).where(
                JobRow.id.in_(known)
            )
        )
        return {
            row.id: JobMark(row.version, row.last_event_seq, JobState(row.state)) for row in rows
        }

    def events_at(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], JobEvent]:
        """By (job id, seq), those of the events that are there, in one query."""
        with self._database.read() as session:
            rows = session.scalars(
                select(JobEventRow).where(tuple_(JobEventRow.job_id, JobEventRow.seq).in_(places))
            )
            return {(row.job_id, row.seq): event_view(row) for row in rows}

    def newest_change(self) -> FeedPlace:
        """Where the feed of changes ends now."""
        with self._database.read() as session:
            return newest_place(session, is_postgres=self._database.is_postgres)

    def feed(self, *, after: FeedPlace, limit: int) -> tuple[FeedChange, ...]:
        """As `changes`, with the place of each change."""
        with self._database.read() as session:
            return read_feed(
                session, after=after, limit=limit, is_postgres=self._database.is_postgres
            )

    def attempts(self, job_id: str) -> JobAttempts:
        """Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            rows = session.scalars(
                select(AttemptRow).where(AttemptRow.job_id == job_id).order_by(AttemptRow.epoch)
            )
            return JobAttempts(
                job_id=job_id,
                attempts=tuple(
                    Attempt(
                        number=row.epoch,
                        worker=row.owner,
                        started_at=row.started_at,
                        ended_at=row.ended_at,
                        resumed_from_update=row.resumed_from_update,
                        newest_checkpoint_update=row.newest_checkpoint_update,
                        outcome=row.outcome,
                    )
                    for row in rows
                ),
            )

    def num_queued(self, queue: str) -> int:
        with self._database.read() as session:
            return (
                session.scalar(
                    select(func.count())
                    .select_from(JobRow)
                    .where(JobRow.queue == queue, JobRow.state == JobState.QUEUED)
                )
                or 0
            )

    def queues_with_work(self) -> list[str]:
        """Queues that hold a QUEUED job, by name."""
        with self._database.read() as session:
            return list(
                session.scalars(
                    select(JobRow.queue)
                    .where(JobRow.state == JobState.QUEUED)
                    .distinct()
                    .order_by(JobRow.queue)
                )
            )
