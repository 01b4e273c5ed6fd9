"""Studies in SQL as clients read them: one, pages, their history."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Select, func, literal, select, tuple_
from sqlalchemy.orm import Session

from service.jobs.state import TERMINAL_STATES
from service.jobs.studies import (
    ENDED_STUDY_STATES,
    Study,
    StudyEvent,
    StudyEventPage,
    StudyPage,
    StudyState,
)
from service.storage.page_tokens import PagedList
from service.storage.row_ids import is_id
from service.storage.sessions import Database
from service.storage.study_rows import RunRow, run_rows, study_row, study_view, summary_view
from service.storage.tables import JobRow, StudyEventRow, StudyRow, StudyRunRow, UtcDateTime

PAGED = PagedList("studies")


class StudyReads:
    """Every method is one read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, study_id: str) -> Study:
        """Raises STUDY_NOT_FOUND."""
        with self._database.read() as session:
            return study_view(study_row(session, study_id), run_rows(session, study_id))

    def list_studies(self, *, limit: int, token: str | None = None) -> StudyPage:
        """Newest first. Raises INVALID_ARGUMENT for a page token of another list."""
        query = _page_of(token).limit(limit + 1)
        with self._database.read() as session:
            rows = session.execute(query).all()
            shown = rows[:limit]
            runs = _counted_runs(session, [row.id for row in shown])
            last = shown[-1] if len(rows) > limit else None
            return StudyPage(
                studies=tuple(summary_view(row, runs[row.id]) for row in shown),
                next_page_token=last and PAGED.token_of_time(last.created_at, last.id),
            )

    def events(self, study_id: str, *, after: int, limit: int) -> StudyEventPage:
        """Oldest first, from the one that follows `after`. Raises STUDY_NOT_FOUND."""
        with self._database.read() as session:
            study_row(session, study_id)
            rows = session.scalars(
                select(StudyEventRow)
                .where(StudyEventRow.study_id == study_id, StudyEventRow.seq > after)
                .order_by(StudyEventRow.seq)
                .limit(limit)
            ).all()
            return StudyEventPage(
                events=tuple(
                    StudyEvent(
                        seq=row.seq,
                        at=row.at,
                        type=row.type,
                        state=StudyState(row.state),
                        message=row.message,
                    )
                    for row in rows
                ),
                next_after=rows[-1].seq if rows else after,
            )

    def open_study_ids(self) -> list[str]:
        """Of those that have not ended, oldest first."""
        with self._database.read() as session:
            return list(
                session.scalars(
                    select(StudyRow.id)
                    .where(StudyRow.state.not_in(list(ENDED_STUDY_STATES)))
                    .order_by(StudyRow.created_at, StudyRow.id)
                )
            )

    def active_job_ids(self, study_id: str) -> list[str]:
        """Of jobs of the study that have not ended, in the order of submission."""
        with self._database.read() as session:
            return list(
                session.scalars(
                    select(JobRow.id)
                    .join(StudyRunRow, StudyRunRow.job_id == JobRow.id)
                    .where(
                        StudyRunRow.study_id == study_id,
                        JobRow.state.not_in(list(TERMINAL_STATES)),
                    )
                    .order_by(StudyRunRow.position)
                )
            )


def _page_of(token: str | None) -> Select[Any]:
    place = tuple_(StudyRow.created_at, StudyRow.id)
    columns = StudyRow.__table__.columns
    query = select(*(column for column in columns if column.name != StudyRow.spec.key))
    if token:
        at, study_id = PAGED.time_and_id(token, is_id=is_id)
        query = query.where(place < tuple_(literal(at, UtcDateTime()), literal(study_id)))
    return query.order_by(StudyRow.created_at.desc(), StudyRow.id.desc())


def _counted_runs(session: Session, study_ids: list[str]) -> dict[str, list[RunRow]]:
    """By study, its runs without their arms and seeds: what progress is counted from."""
    rows = session.execute(
        select(
            StudyRunRow.study_id,
            StudyRunRow.total_steps,
            StudyRunRow.job_id,
            StudyRunRow.outcome,
            JobRow.state,
            func.coalesce(JobRow.step, 0),
        )
        .outerjoin(JobRow, JobRow.id == StudyRunRow.job_id)
        .where(StudyRunRow.study_id.in_(study_ids))
    )
    found: dict[str, list[RunRow]] = defaultdict(list)
    for study_id, total_steps, job_id, outcome, state, step in rows:
        found[study_id].append(
            RunRow("", 0, total_steps, job_id, outcome, None, None, state, step, None)
        )
    return found
