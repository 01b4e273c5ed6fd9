"""Pages of jobs: filters and orders as SQL, and the place where the next page begins."""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, exists, literal, or_, select, tuple_

from service.jobs.job_queries import JobFilter, JobOrder
from service.storage.job_rows import is_job_id
from service.storage.page_tokens import foreign_token, page_token, place_of_token
from service.storage.tables import JobLabelRow, JobRow, UtcDateTime


def job_list(wanted: JobFilter, order: JobOrder, *, token: str | None) -> Select[JobRow]:
    """The jobs of the page that the token begins. Raises INVALID_ARGUMENT for a token of another list."""
    time_column = JobRow.updated_at if order is JobOrder.CHANGED_LAST else JobRow.created_at
    place = tuple_(time_column, JobRow.id)
    query = _narrowed(select(JobRow), wanted)
    if token:
        at, job_id = _place(token, wanted, order)
        start = tuple_(literal(at, UtcDateTime()), literal(job_id))
        query = query.where(place > start if order is JobOrder.OLDEST else place < start)
    if order is JobOrder.OLDEST:
        return query.order_by(time_column, JobRow.id)
    return query.order_by(time_column.desc(), JobRow.id.desc())


def token_after(row: JobRow, wanted: JobFilter, order: JobOrder) -> str:
    """The place in this list that follows the row."""
    at = row.updated_at if order is JobOrder.CHANGED_LAST else row.created_at
    return page_token([_list_sha256(wanted, order), at.isoformat(), row.id])


def _narrowed(query: Select[Any], wanted: JobFilter) -> Select[Any]:
    if wanted.states:
        query = query.where(JobRow.state.in_(set(wanted.states)))
    if wanted.kinds:
        query = query.where(JobRow.kind.in_(set(wanted.kinds)))
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


def _place(token: str, wanted: JobFilter, order: JobOrder) -> tuple[datetime, str]:
    list_sha256, at, job_id = place_of_token(token, types=(str, str, str))
    try:
        time = datetime.fromisoformat(str(at)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise foreign_token(token) from None
    if not is_job_id(job_id) or list_sha256 != _list_sha256(wanted, order):
        raise foreign_token(token)
    return time, str(job_id)


def _list_sha256(wanted: JobFilter, order: JobOrder) -> str:
    """The start of a hash of what the list is of: under other filters a place means nothing."""
    canonical = json.dumps([asdict(wanted), order], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
