"""The order in which changes of jobs became visible, so that a reader who asks again misses none.

Numbers handed out before the commit become visible out of order: a reader that saw 7 would miss the 6 that
commits later. On PostgreSQL the number is that of the transaction, and the feed ends before the oldest one that
still runs: below it nothing can appear any more. (A writer that never ends, in any database of the server, holds
the feed up.) On SQLite there is one writer at a time, so a counter does.
"""

from dataclasses import dataclass

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

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.results import JobChange, JobChanges
from service.storage.page_tokens import place_of_text, text_of_place
from service.storage.row_ids import is_id
from service.storage.tables import DeletedJobRow, JobRow
from service.storage.whole_jobs import COLUMNS, num_that_fit, whole_jobs

# Sorts after every id by the rules of any language: ids are hexadecimal digits.
LAST_ID = "g"

# The number of a change and the id of its job, in the order of the feed.
FeedPlace = tuple[int, str]


@dataclass(frozen=True, slots=True)
class FeedChange:
    """One entry of the feed, and where it stands there."""

    place: FeedPlace
    change: JobChange

    @property
    def token(self) -> str:
        """Passed as `after`, it gives what follows this entry."""
        return text_of_place(self.place)


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

    At most `limit`, fewer where their specs are long. Raises INVALID_ARGUMENT for a foreign token.
    """
    horizon = _horizon(session, is_postgres=is_postgres)
    if after is None:
        return JobChanges(changes=(), next_after=text_of_place((horizon - 1, LAST_ID)))
    place = place_of_feed_token(after)
    if place[0] >= horizon:
        raise _foreign_token(after)
    found = _read_feed(session, after=place, before=horizon, limit=limit)
    return JobChanges(
        changes=tuple(each.change for each in found),
        next_after=found[-1].token if found else after,
    )


def read_feed(
    session: Session, *, after: FeedPlace, limit: int, is_postgres: bool
) -> tuple[FeedChange, ...]:
    """What follows a place, oldest change first: as many as `read_changes` gives."""
    horizon = _horizon(session, is_postgres=is_postgres)
    return _read_feed(session, after=after, before=horizon, limit=limit)


def newest_place(session: Session, *, is_postgres: bool) -> FeedPlace:
    """Where the feed ends now: something follows a place if, and only if, this is beyond it."""
    horizon = _horizon(session, is_postgres=is_postgres)
    newest: list[FeedPlace] = [(0, "")]
    for seq_column, id_column in (
        (JobRow.change_seq, JobRow.id),
        (DeletedJobRow.change_seq, DeletedJobRow.job_id),
    ):
        query = (
            select(seq_column, id_column)
            .where(seq_column < horizon)
            .order_by(seq_column.desc(), id_column.desc())
            .limit(1)
        )
        newest.extend((seq, job_id) for seq, job_id in session.execute(query))
    return max(newest)


def place_of_feed_token(token: str) -> FeedPlace:
    """Raises INVALID_ARGUMENT for what is no token of this feed."""
    try:
        seq, job_id = place_of_text(token, types=(int, str))
    except ValueError:
        raise _foreign_token(token) from None
    if int(seq) < 0 or not (job_id == LAST_ID or is_id(str(job_id))):
        raise _foreign_token(token)
    return int(seq), str(job_id)


def _foreign_token(token: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        "after is not a token of this server's feed of changes. Leave it out to get the token of now; then "
        "list the jobs, and follow the feed from that token.",
        [Violation("after", token[:100], "next_after of an earlier answer")],
    )


def _horizon(session: Session, *, is_postgres: bool) -> int:
    """Every change with a smaller number is visible or never will be."""
    if is_postgres:
        xmin = func.pg_snapshot_xmin(func.pg_current_snapshot())
        return session.execute(select(cast(cast(xmin, Text), BigInteger))).scalar_one()
    return session.execute(select(next_change_seq(is_postgres=False))).scalar_one()


def _read_feed(
    session: Session, *, after: FeedPlace, before: int, limit: int
) -> tuple[FeedChange, ...]:
    changed = union_all(
        _changed(JobRow.change_seq, JobRow.id, after=after, before=before, limit=limit),
        _changed(
            DeletedJobRow.change_seq,
            DeletedJobRow.job_id,
            after=after,
            before=before,
            limit=limit,
        ),
    ).subquery()
    places = session.execute(
        select(changed).order_by(changed.c.seq, changed.c.job_id).limit(limit)
    ).all()
    changed_ids = [place.job_id for place in places]
    rows = {
        row.id: row for row in session.execute(select(*COLUMNS).where(JobRow.id.in_(changed_ids)))
    }
    lengths = [rows[job_id].spec_characters if job_id in rows else 0 for job_id in changed_ids]
    places = places[: num_that_fit(lengths)]
    jobs = whole_jobs(session, [rows[place.job_id] for place in places if place.job_id in rows])
    return tuple(
        FeedChange(
            place=(place.seq, place.job_id),
            change=JobChange(job_id=place.job_id, job=jobs.get(place.job_id)),
        )
        for place in places
    )


def _changed(
    seq_column: InstrumentedAttribute[int],
    id_column: InstrumentedAttribute[str],
    *,
    after: FeedPlace,
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
