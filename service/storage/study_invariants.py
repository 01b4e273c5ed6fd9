"""What must never be true of the rows of studies, as queries that find nothing.

As with those of jobs each is one statement, and so sees one state of the database, whatever runs meanwhile.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import aliased

from service.jobs.state import TERMINAL_STATES
from service.jobs.studies import DELETED, ENDED_STUDY_STATES, StudyState
from service.storage.invariants import MAX_FOUND
from service.storage.sessions import Database
from service.storage.tables import DeletedJobRow, JobRow, StudyEventRow, StudyRow, StudyRunRow

CANCELLED_STATES = (StudyState.CANCELLING, StudyState.CANCELLED)


@dataclass(frozen=True, slots=True)
class StudyViolation:
    """A study whose rows contradict each other, and in what."""

    invariant: str
    study_id: str


def find_study_violations(database: Database) -> Iterator[StudyViolation]:
    """At most 100 of each invariant. Raises DATABASE_UNAVAILABLE."""
    for invariant, query in STUDY_INVARIANTS.items():
        for (study_id,) in database.rows(query.distinct().limit(MAX_FOUND)):
            yield StudyViolation(invariant, study_id)


def _number_of(row: type[StudyRunRow | StudyEventRow], *conditions: ColumnElement[bool]) -> Any:
    return (
        select(func.count())
        .select_from(row)
        .where(row.study_id == StudyRow.id, *conditions)
        .correlate(StudyRow)
        .scalar_subquery()
    )


def _events_with_gaps() -> Select[Any]:
    """By the study's version, which also sees that the newest are missing."""
    newest = (
        select(func.max(StudyEventRow.seq))
        .where(StudyEventRow.study_id == StudyRow.id)
        .correlate(StudyRow)
        .scalar_subquery()
    )
    return select(StudyRow.id).where(
        or_(
            _number_of(StudyEventRow, StudyEventRow.seq > 0) != StudyRow.version,
            func.coalesce(newest, 0) != StudyRow.version,
        )
    )


def _state_unlike_newest_event() -> Select[Any]:
    return (
        select(StudyRow.id)
        .join(
            StudyEventRow,
            and_(StudyEventRow.study_id == StudyRow.id, StudyEventRow.seq == StudyRow.version),
        )
        .where(StudyEventRow.state != StudyRow.state)
    )


def _changed_after_the_end() -> Select[Any]:
    """Nor does one that is being cancelled do anything else."""
    before, after = aliased(StudyEventRow), aliased(StudyEventRow)
    return (
        select(after.study_id)
        .join(before, and_(before.study_id == after.study_id, before.seq == after.seq - 1))
        .where(
            or_(
                before.state.in_(ENDED_STUDY_STATES),
                and_(
                    before.state == StudyState.CANCELLING,
                    after.state.not_in(CANCELLED_STATES),
                ),
            )
        )
    )


def _ended_without_time() -> Select[Any]:
    has_ended = StudyRow.state.in_(ENDED_STUDY_STATES)
    return select(StudyRow.id).where(
        or_(
            and_(has_ended, StudyRow.finished_at.is_(None)),
            and_(not_(has_ended), StudyRow.finished_at.is_not(None)),
        )
    )


def _ended_with_an_open_run() -> Select[Any]:
    return (
        select(StudyRow.id)
        .join(StudyRunRow, StudyRunRow.study_id == StudyRow.id)
        .where(StudyRow.state.in_(ENDED_STUDY_STATES), StudyRunRow.outcome.is_(None))
    )


def _unsubmitted_run_ended_by_itself() -> Select[Any]:
    return (
        select(StudyRow.id)
        .join(StudyRunRow, StudyRunRow.study_id == StudyRow.id)
        .where(
            StudyRunRow.job_id.is_(None),
            StudyRunRow.outcome.is_not(None),
            StudyRow.state.not_in(CANCELLED_STATES),
        )
    )


def _run_without_its_job() -> Select[Any]:
    is_there = exists().where(JobRow.id == StudyRunRow.job_id)
    was_deleted = exists().where(DeletedJobRow.job_id == StudyRunRow.job_id)
    return select(StudyRunRow.study_id).where(
        StudyRunRow.job_id.is_not(None), not_(is_there), not_(was_deleted)
    )


def _outcome_unlike_job() -> Select[Any]:
    """Also of a job that goes on; a job may be deleted at any time after its end."""
    return (
        select(StudyRunRow.study_id)
        .join(JobRow, JobRow.id == StudyRunRow.job_id)
        .where(or_(StudyRunRow.outcome != JobRow.state, StudyRunRow.outcome == DELETED))
    )


def _events_unlike_runs() -> Select[Any]:
    submitted = StudyRunRow.job_id.is_not(None)
    settled = and_(submitted, StudyRunRow.outcome.is_not(None))
    return select(StudyRow.id).where(
        or_(
            _number_of(StudyEventRow, StudyEventRow.type == "job_submitted")
            != _number_of(StudyRunRow, submitted),
            _number_of(StudyEventRow, StudyEventRow.type == "job_ended")
            != _number_of(StudyRunRow, settled),
        )
    )


def _too_many_active_jobs() -> Select[Any]:
    num_active = (
        select(func.count())
        .select_from(StudyRunRow)
        .join(JobRow, JobRow.id == StudyRunRow.job_id)
        .where(StudyRunRow.study_id == StudyRow.id, JobRow.state.not_in(list(TERMINAL_STATES)))
        .correlate(StudyRow)
        .scalar_subquery()
    )
    return select(StudyRow.id).where(num_active > StudyRow.spec["max_active_jobs"].as_integer())


STUDY_INVARIANTS: Mapping[str, Select[Any]] = {
    "the seqs of a study's events have no gaps": _events_with_gaps(),
    "a study's state is that of its newest event": _state_unlike_newest_event(),
    "nothing follows the end of a study": _changed_after_the_end(),
    "a study has ended when its state says so": _ended_without_time(),
    "every run of an ended study has ended": _ended_with_an_open_run(),
    "a run that was never submitted ends with its study's cancelling alone": (
        _unsubmitted_run_ended_by_itself()
    ),
    "a submitted run has its job, unless that was deleted": _run_without_its_job(),
    "a run ended as its job did": _outcome_unlike_job(),
    "each submission and each end of a run has its event": _events_unlike_runs(),
    "a study has no more active jobs than it may": _too_many_active_jobs(),
}
