"""The order in which changes of jobs became visible, so that a reader who asks again misses none.

Numbers handed out before the commit become visible out of order: a reader that saw 7 would miss the 6 that
commits later. On PostgreSQL the number is that of the transaction, and the feed ends before the oldest one that
still runs: below it nothing can appear any more. On SQLite there is one writer at a time, so a counter does.
"""

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    cast,
    func,
    literal,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.jobs.results import JobChange, JobChanges
from service.storage.job_rows import job_view
from service.storage.page_tokens import page_token, place_of_token
from service.storage.tables import DeletedJobRow, JobRow

# Sorts after every id.
LAST_ID = "~"


def next_change_seq(*, is_postgres: bool) -> ColumnElement[int]:
    """The number of a change that the current transaction makes."""
    if is_postgres:
        return cast(cast(func.pg_current_xact_id(), Text), BigInteger)
    of_jobs = select(func.coalesce(func.max(JobRow.change_seq), 0)).scalar_subquery()
    of_deleted = select(func.coalesce(func.max(DeletedJobRow.change_seq), 0)).scalar_subquery()
    return func.max(of_jobs, of_deleted) + 1


def read_changes(
    session: Session, *, after: str | None, limit: int, is_postgres: bool
) -> JobChanges:
    """Jobs that changed after the token, oldest change first, each once; no token: from now on.

    Raises INVALID_ARGUMENT for a foreign token.
    """
    horizon = _horizon(session, is_postgres=is_postgres)
    if after is None:
        return JobChanges(changes=(), next_after=page_token([horizon - 1, LAST_ID]))
    seq, last_id = place_of_token(after, types=(int, str))
    changed = union_all(
        _changed(JobRow.change_seq, JobRow.id, after=(seq, last_id), before=horizon, limit=limit),
        _changed(
            DeletedJobRow.change_seq,
            DeletedJobRow.job_id,
            after=(seq, last_id),
            before=horizon,
            limit=limit,
        ),
    ).subquery()
    places = session.execute(
        select(changed).order_by(changed.c.seq, changed.c.job_id).limit(limit)
    ).all()
    rows = session.scalars(select(JobRow).where(JobRow.id.in_([place.job_id for place in places])))
    jobs = {row.id: job_view(row) for row in rows}
    return JobChanges(
        changes=tuple(
            JobChange(job_id=place.job_id, job=jobs.get(place.job_id)) for place in places
        ),
        next_after=page_token([places[-1].seq, places[-1].job_id]) if places else after,
    )


def _horizon(session: Session, *, is_postgres: bool) -> int:
    """Every change with a smaller number is visible or never will be."""
    if is_postgres:
        xmin = func.pg_snapshot_xmin(func.pg_current_snapshot())
        return session.execute(select(cast(cast(xmin, Text), BigInteger))).scalar_one()
    return session.execute(select(next_change_seq(is_postgres=False))).scalar_one()


def _changed(
    seq_column: InstrumentedAttribute[int],
    id_column: InstrumentedAttribute[str],
    *,
    after: tuple[str | int, str | int],
    before: int,
    limit: int,
) -> Select[tuple[int, str]]:
    places = (
        select(seq_column.label("seq"), id_column.label("job_id"))
        .where(
            tuple_(seq_column, id_column) > tuple_(literal(after[0]), literal(after[1])),
            seq_column < before,
        )
        .order_by(seq_column, id_column)
        .limit(limit)
        .subquery()  # a member of a union has no order and no limit of its own
    )
    return select(places.c.seq, places.c.job_id)
