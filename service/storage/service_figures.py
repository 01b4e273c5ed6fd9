"""Figures of the whole service for who watches it: what has not ended, who works, what waits to be sent.

Ended jobs and deliveries are counted nowhere, as no index would answer that without a walk over all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from service.jobs.state import HELD_STATES, TERMINAL_STATES, JobState
from service.jobs.studies import ENDED_STUDY_STATES, StudyState
from service.jobs.webhooks import DeliveryState
from service.storage.sessions import Database
from service.storage.tables import (
    JobRow,
    StudyRow,
    UtcDateTime,
    WebhookDeliveryRow,
    WebhookRow,
    WorkerRow,
)

WATCHED_JOB_STATES = tuple(state for state in JobState if state not in TERMINAL_STATES)
WATCHED_STUDY_STATES = tuple(state for state in StudyState if state not in ENDED_STUDY_STATES)
NOW = bindparam("now", type_=UtcDateTime())
LIVE_SINCE = bindparam("live_since", type_=UtcDateTime())


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """As of one moment. The states are those that are not final.

    oldest_queued_age_s: since the oldest of the jobs that wait was submitted; 0 where none waits.
    num_expired_leases: held jobs that nobody renewed in time, and that nobody has taken yet.
    num_workers_aside: of the live ones. num_pending_deliveries, num_due_deliveries: of enabled webhooks; the due ones,
    which are pending too, could be sent now.
    """

    num_jobs: Mapping[JobState, int]
    oldest_queued_age_s: float
    num_expired_leases: int
    num_live_workers: int
    num_workers_aside: int
    num_pending_deliveries: int
    num_due_deliveries: int
    num_studies: Mapping[StudyState, int]


def read_service_figures(database: Database, *, live_within_s: float) -> ServiceFigures:
    """By one statement, beside that which asks for the time. live_within_s: a worker is live that was seen within it."""
    with database.read() as session:
        now = database.now(session)
        live_since = now - timedelta(seconds=live_within_s)
        row = session.execute(FIGURES, {"now": now, "live_since": live_since}).one()
    oldest = row.oldest_queued_at
    return ServiceFigures(
        num_jobs={state: getattr(row, f"jobs_{state}") for state in WATCHED_JOB_STATES},
        oldest_queued_age_s=0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()),
        num_expired_leases=row.expired_leases,
        num_live_workers=row.live_workers,
        num_workers_aside=row.workers_aside,
        num_pending_deliveries=int(row.pending_deliveries),
        num_due_deliveries=int(row.due_deliveries),
        num_studies={state: getattr(row, f"studies_{state}") for state in WATCHED_STUDY_STATES},
    )


def _num(table: type[Any], *conditions: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(table).where(*conditions)


def _num_deliveries(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Of each enabled webhook by the index, which begins with the webhook; a join would read all deliveries."""
    of_one = _num(
        WebhookDeliveryRow,
        WebhookDeliveryRow.webhook_id == WebhookRow.id,
        WebhookDeliveryRow.state == DeliveryState.PENDING,
        *conditions,
    ).correlate(WebhookRow)
    num_of_all = func.coalesce(func.sum(of_one.scalar_subquery()), 0)
    return select(num_of_all).select_from(WebhookRow).where(WebhookRow.enabled)


def _figures() -> Select[Any]:
    """One row. A subquery for each state: each reads a stretch of an index, whatever the planner thinks of the others."""
    is_live = WorkerRow.seen_at >= LIVE_SINCE
    parts: dict[str, Select[Any]] = {
        "oldest_queued_at": select(func.min(JobRow.created_at)).where(
            JobRow.state == JobState.QUEUED
        ),
        "expired_leases": _num(
            JobRow, JobRow.state.in_(sorted(HELD_STATES)), JobRow.lease_expires_at < NOW
        ),
        "live_workers": _num(WorkerRow, is_live),
        "workers_aside": _num(WorkerRow, is_live, WorkerRow.aside_until > NOW),
        "pending_deliveries": _num_deliveries(),
        "due_deliveries": _num_deliveries(WebhookDeliveryRow.next_attempt_at <= NOW),
    }
    parts |= {f"jobs_{state}": _num(JobRow, JobRow.state == state) for state in WATCHED_JOB_STATES}
    parts |= {
        f"studies_{state}": _num(StudyRow, StudyRow.state == state)
        for state in WATCHED_STUDY_STATES
    }
    return select(*(part.scalar_subquery().label(name) for name, part in parts.items()))


FIGURES = _figures()
