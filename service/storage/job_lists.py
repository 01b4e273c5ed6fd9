"""Pages of jobs: filters and orders as SQL, and the place where the next page begins."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, exists, literal, or_, select, tuple_

from service.jobs.job_queries import JobFilter, JobOrder
from service.jobs.spec import JobKind
from service.storage.page_tokens import PagedList
from service.storage.row_ids import is_id
from service.storage.tables import JobLabelRow, JobRow, UtcDateTime
from service.storage.whole_jobs import COLUMNS


def job_list(wanted: JobFilter, order: JobOrder, *, token: str | None) -> Select[Any]:
    """`COLUMNS` of the jobs of the page that the token begins. Raises INVALID_ARGUMENT for a token of another list."""
    time_column = JobRow.updated_at if order is JobOrder.CHANGED_LAST else JobRow.created_at
    place = tuple_(time_column, JobRow.id)
    query = _narrowed(select(*COLUMNS), wanted)
    if token:
        at, job_id = _paged(wanted, order).time_and_id(token, is_id=is_id)
        start = tuple_(literal(at, UtcDateTime()), literal(job_id))
        query = query.where(place > start if order is JobOrder.OLDEST else place < start)
    if order is JobOrder.OLDEST:
        return query.order_by(time_column, JobRow.id)
    return query.order_by(time_column.desc(), JobRow.id.desc())


def token_after(row: Row[Any], wanted: JobFilter, order: JobOrder) -> str:
    """The place in this list that follows the row."""
    at = row.updated_at if order is JobOrder.CHANGED_LAST else row.created_at
    return _paged(wanted, order).token_of_time(at, row.id)


def _narrowed(query: Select[Any], wanted: JobFilter) -> Select[Any]:
    if wanted.states:
        query = query.where(JobRow.state.in_(set(wanted.states)))
    if wanted.kinds:
        query = query.where(_is_of(set(wanted.kinds)))
    if wanted.model is not None:
        query = query.where(or_(JobRow.model == wanted.model, JobRow.teacher_model == wanted.model))
    if wanted.created_from is not None:
        query = query.where(JobRow.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(JobRow.created_at < wanted.created_before)
    for key, value in wanted.labels.items():
        query = query.where(
            exists().where(
                JobLabelRow.job_id == JobRow.id,
                JobLabelRow.key == key,
                JobLabelRow.value == value,
            )
        )
    return query


def _is_of(kinds: set[JobKind]) -> ColumnElement[bool]:
    """Several kinds as those that they are not: of an IN, SQLite would collect and sort all jobs."""
    return JobRow.kind.in_(kinds) if len(kinds) == 1 else JobRow.kind.not_in({*JobKind} - kinds)


def _paged(wanted: JobFilter, order: JobOrder) -> PagedList:
    return PagedList("jobs", order=order, **asdict(wanted))
