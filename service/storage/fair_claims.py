"""Whose turn it is: of the waiting jobs that a worker may take, the next.

The highest priority first. Among jobs of one priority the API key whose jobs hold the fewest workers (jobs without a
key count as one key), then the oldest. A key that submits a thousand jobs delays another's single job by no more than
one.

Every query reads a few rows at the edges of lanes and keys, which the index of `jobs` has in this order, however many
jobs wait. Only jobs that need more memory than the worker has are passed one by one. The statements of a worker's
lanes are built once: building costs more than running.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    String,
    bindparam,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from service.jobs.capabilities import Capabilities
from service.jobs.state import HELD_STATES
from service.storage.tables import JobRow
from service.storage.waiting_lanes import Lane, lanes_of

# The first of these with a job that no client or worker has locked is taken.
MAX_GROUPS_TRIED = 16
CLAIM_LOCK = 7_215_532  # any number of our own
MAX_LOCK_TRIES = 50
LOCK_RETRY_S = 0.005

PRIORITY = bindparam("priority", type_=JobRow.priority.type)


@dataclass(frozen=True, slots=True)
class Statements:
    """Of some lanes: their highest priority; and, of `priority`, the groups (index of lane, API key) in turn."""

    highest_priority: Select[tuple[int | None]]
    groups_in_turn: Select[tuple[int, str | None]]


def next_job_for(
    session: Session, *, queues: Sequence[str], capabilities: Capabilities | None
) -> JobRow | None:
    """The job whose turn it is, locked until the transaction ends; None where nothing may be taken."""
    lanes = lanes_of(queues, capabilities)
    statements = _statements(lanes)
    _wait_for_other_claims(session)
    priority = session.scalar(statements.highest_priority)
    if priority is None:
        return None
    for group in session.execute(statements.groups_in_turn, {"priority": priority}):
        row = session.scalars(
            select(JobRow)
            .where(
                *lanes[group.lane].holds(JobRow),
                JobRow.priority == priority,
                _is_of_key(JobRow, group.api_key_id),
            )
            .order_by(JobRow.created_at, JobRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is not None:
            return row
    return None


def _wait_for_other_claims(session: Session) -> None:
    """One claim at a time, so that each counts what the one before it took.

    Not for long: a claim that a stopped process holds up costs others this wait and some fairness, no more. On SQLite
    there is one writer at a time anyway.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    for _ in range(MAX_LOCK_TRIES):
        if session.scalar(select(func.pg_try_advisory_xact_lock(CLAIM_LOCK))):
            return
        time.sleep(LOCK_RETRY_S)


@lru_cache(maxsize=64)
def _statements(lanes: tuple[Lane, ...]) -> Statements:
    return Statements(_highest_priority(lanes), _groups_in_turn(lanes))


def _highest_priority(lanes: Sequence[Lane]) -> Select[tuple[int | None]]:
    tops = [
        select(JobRow.priority)
        .where(*lane.holds(JobRow))
        .order_by(JobRow.priority.desc())
        .limit(1)
        .subquery()
        for lane in lanes
    ]
    found = union_all(*(select(top.c.priority) for top in tops)).subquery()
    return select(func.max(found.c.priority))


def _groups_in_turn(lanes: Sequence[Lane]) -> Select[tuple[int, str | None]]:
    keys_of_lanes = [_keys_of(lane, name=f"keys_{index}") for index, lane in enumerate(lanes)]
    groups = union_all(
        *(
            _group(index, lane, keys.c.api_key_id).select_from(keys)
            for index, (lane, keys) in enumerate(zip(lanes, keys_of_lanes, strict=True))
        ),
        *(_group(index, lane, None) for index, lane in enumerate(lanes)),
    ).subquery()
    return (
        select(groups.c.lane, groups.c.api_key_id)
        .where(groups.c.oldest.is_not(None))
        .order_by(groups.c.num_held, groups.c.oldest, groups.c.lane)
        .limit(MAX_GROUPS_TRIED)
    )


def _keys_of(lane: Lane, *, name: str) -> CTE:
    """The API keys with jobs in the lane, each found by one step in the index from the one before; ends with null."""
    first = _next_key(lane, after=literal(""))
    keys = select(first.label("api_key_id")).cte(name, recursive=True)
    following = _next_key(lane, after=keys.c.api_key_id)
    return keys.union_all(select(following).where(keys.c.api_key_id.is_not(None)))


def _next_key(lane: Lane, *, after: ColumnElement[str]) -> ColumnElement[str | None]:
    waiting = aliased(JobRow)
    return (
        select(waiting.api_key_id)
        .where(*lane.holds(waiting), waiting.priority == PRIORITY, waiting.api_key_id > after)
        .order_by(waiting.api_key_id)
        .limit(1)
        .scalar_subquery()
    )


def _group(
    index: int, lane: Lane, api_key_id: ColumnElement[str] | None
) -> Select[tuple[int, str | None, datetime | None, int]]:
    """One row for each key: its oldest waiting job in the lane, and how many of its jobs workers hold."""
    waiting, held = aliased(JobRow), aliased(JobRow)
    oldest = (
        select(waiting.created_at)
        .where(*lane.holds(waiting), waiting.priority == PRIORITY, _is_of_key(waiting, api_key_id))
        .order_by(waiting.created_at)
        .limit(1)
        .scalar_subquery()
    )
    num_held = (
        select(func.count())
        .select_from(held)
        .where(_is_of_key(held, api_key_id), held.state.in_(HELD_STATES))
        .scalar_subquery()
    )
    key = cast(null(), String) if api_key_id is None else api_key_id
    return select(
        literal(index).label("lane"),
        key.label("api_key_id"),
        oldest.label("oldest"),
        num_held.label("num_held"),
    )


def _is_of_key(
    jobs: type[JobRow], api_key_id: ColumnElement[str] | str | None
) -> ColumnElement[bool]:
    return jobs.api_key_id.is_(None) if api_key_id is None else jobs.api_key_id == api_key_id
