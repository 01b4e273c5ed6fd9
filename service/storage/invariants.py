"""What must never be true of the rows of jobs, as queries that find nothing.

Each is one statement, and so sees one state of the database, whatever runs meanwhile.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, exists, func, literal, not_, or_, select, tuple_
from sqlalchemy.orm import aliased

from service.jobs.state import EDGES, HELD_STATES, TERMINAL_STATES, JobState
from service.storage.attempt_endings import AttemptEnding, has_saved_something_new
from service.storage.sessions import Database
from service.storage.tables import AttemptRow, JobEventRow, JobRow

MAX_FOUND = 100  # of one invariant
LEGAL_MOVES = [(before, after) for before, targets in EDGES.items() for after in targets]


@dataclass(frozen=True, slots=True)
class Violation:
    """A job whose rows contradict each other, and in what."""

    invariant: str
    job_id: str


def find_violations(database: Database) -> Iterator[Violation]:
    """At most 100 of each invariant. Raises DATABASE_UNAVAILABLE."""
    for invariant, query in INVARIANTS.items():
        for (job_id,) in database.rows(query.limit(MAX_FOUND)):
            yield Violation(invariant, job_id)


def _events_with_gaps() -> Select[Any]:
    """By the job's own counter, which also sees that the newest are missing."""
    counted = (
        select(
            JobEventRow.job_id,
            func.count().label("number"),
            func.min(JobEventRow.seq).label("first"),
            func.max(JobEventRow.seq).label("last"),
        )
        .group_by(JobEventRow.job_id)
        .subquery()
    )
    return (
        select(JobRow.id)
        .outerjoin(counted, counted.c.job_id == JobRow.id)
        .where(
            or_(
                func.coalesce(counted.c.last, 0) != JobRow.last_event_seq,
                func.coalesce(counted.c.number, 0) != JobRow.last_event_seq,
                counted.c.first != 1,
            )
        )
    )


def _state_unlike_newest_event() -> Select[Any]:
    return (
        select(JobRow.id)
        .join(
            JobEventRow,
            and_(JobEventRow.job_id == JobRow.id, JobEventRow.seq == JobRow.last_event_seq),
        )
        .where(JobEventRow.state != JobRow.state)
    )


def _illegal_moves() -> Select[Any]:
    """Also a move out of a terminal state."""
    before, after = aliased(JobEventRow), aliased(JobEventRow)
    return (
        select(after.job_id)
        .join(before, and_(before.job_id == after.job_id, before.seq == after.seq - 1))
        .where(
            before.state != after.state,
            tuple_(before.state, after.state).not_in(LEGAL_MOVES),
        )
        .distinct()
    )


def _falling_epochs() -> Select[Any]:
    before, after = aliased(JobEventRow), aliased(JobEventRow)
    return (
        select(after.job_id)
        .join(before, and_(before.job_id == after.job_id, before.seq == after.seq - 1))
        .where(before.attempt > after.attempt)
        .distinct()
    )


def _several_live_attempts() -> Select[Any]:
    return (
        select(AttemptRow.job_id)
        .where(AttemptRow.ended_at.is_(None))
        .group_by(AttemptRow.job_id)
        .having(func.count() > 1)
    )


def _live_attempt_without_lease() -> Select[Any]:
    return (
        select(JobRow.id)
        .join(AttemptRow, AttemptRow.job_id == JobRow.id)
        .where(
            AttemptRow.ended_at.is_(None),
            or_(JobRow.state.not_in(HELD_STATES), AttemptRow.epoch != JobRow.lease_epoch),
        )
        .distinct()
    )


def _held_without_live_attempt() -> Select[Any]:
    live = exists().where(
        AttemptRow.job_id == JobRow.id,
        AttemptRow.epoch == JobRow.lease_epoch,
        AttemptRow.owner == JobRow.lease_owner,
        AttemptRow.ended_at.is_(None),
    )
    return select(JobRow.id).where(JobRow.state.in_(HELD_STATES), not_(live))


def _held_without_lease() -> Select[Any]:
    return select(JobRow.id).where(
        JobRow.state.in_(HELD_STATES),
        or_(JobRow.lease_owner.is_(None), JobRow.lease_expires_at.is_(None)),
    )


def _lease_without_holder() -> Select[Any]:
    return select(JobRow.id).where(
        JobRow.state.not_in(HELD_STATES),
        or_(
            JobRow.lease_owner.is_not(None),
            JobRow.lease_expires_at.is_not(None),
            JobRow.deadline_at.is_not(None),
            JobRow.phase.is_not(None),
        ),
    )


def _ended_without_time() -> Select[Any]:
    has_ended = JobRow.state.in_(TERMINAL_STATES)
    return select(JobRow.id).where(
        or_(
            and_(has_ended, JobRow.finished_at.is_(None)),
            and_(not_(has_ended), JobRow.finished_at.is_not(None)),
        )
    )


def _failure_unlike_state() -> Select[Any]:
    return select(JobRow.id).where(JobRow.state != JobState.FAILED, JobRow.failure.is_not(None))


def _attempts_unlike_epoch() -> Select[Any]:
    number = (
        select(func.count())
        .select_from(AttemptRow)
        .where(AttemptRow.job_id == JobRow.id)
        .scalar_subquery()
    )
    return select(JobRow.id).where(number != JobRow.lease_epoch)


def _crashes_unlike_recount() -> Select[Any]:
    """Of crashes since something was saved; attempts of earlier versions, which do not say how they ended, are let be."""
    attempts, newer = aliased(AttemptRow), AttemptRow
    saved_since = exists().where(
        newer.job_id == attempts.job_id,
        newer.epoch >= attempts.epoch,
        newer.ended_at.is_not(None),
        has_saved_something_new(),
    )
    recount = (
        select(func.count())
        .select_from(attempts)
        .where(
            attempts.job_id == JobRow.id,
            attempts.ending == AttemptEnding.CRASHED,
            not_(saved_since),
        )
        .scalar_subquery()
    )
    unknown = exists(literal(1)).where(
        AttemptRow.job_id == JobRow.id,
        AttemptRow.ended_at.is_not(None),
        AttemptRow.ending.is_(None),
    )
    return select(JobRow.id).where(
        JobRow.state.not_in(TERMINAL_STATES),
        recount != JobRow.attempts_without_progress,
        not_(unknown),
    )


INVARIANTS: Mapping[str, Select[Any]] = {
    "the seqs of a job's events have no gaps": _events_with_gaps(),
    "a job's state is that of its newest event": _state_unlike_newest_event(),
    "every move is legal, and none leads out of a terminal state": _illegal_moves(),
    "the attempts of a job's events never fall": _falling_epochs(),
    "a job has no more than one live attempt": _several_live_attempts(),
    "a live attempt holds its job": _live_attempt_without_lease(),
    "a held job has its live attempt": _held_without_live_attempt(),
    "a held job has a lease": _held_without_lease(),
    "a job that nobody holds has no lease": _lease_without_holder(),
    "a job has ended when its state says so": _ended_without_time(),
    "only a failed job has a failure": _failure_unlike_state(),
    "a job has as many attempts as its epoch says": _attempts_unlike_epoch(),
    "the crashes that count are those of its attempts": _crashes_unlike_recount(),
}
