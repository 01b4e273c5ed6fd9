"""What is kept of updates token by token, in SQL: of those that stand, a few at a time, for each is up to 136 kB."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs.records import TokenDriftRecord, UpdateRecord
from service.storage.new_rows import insert_new
from service.storage.result_reads import stands
from service.storage.state_moves import Lease
from service.storage.tables import TokenDriftRow


@dataclass(frozen=True, slots=True)
class KeptUpdate:
    """An update whose drift was kept, and the attempt that computed it."""

    attempt: int
    step: int
    update: int
    drift: TokenDriftRecord


def insert_token_drifts(session: Session, lease: Lease, records: Sequence[UpdateRecord]) -> None:
    """Of those updates that have any; under the fence, which the caller holds. A second time changes nothing."""
    key = {"job_id": lease.job_id, "epoch": lease.epoch}
    rows = [
        {**key, "update_index": record.update, "step": record.step, **asdict(record.token_drift)}
        for record in records
        if record.token_drift is not None
    ]
    insert_new(session, TokenDriftRow, rows)


def read_token_drifts(
    session: Session, job_id: str, *, after_update: int, limit: int
) -> list[KeptUpdate]:
    """The first so many after an update, in their order."""
    rows = session.scalars(
        select(TokenDriftRow)
        .where(
            TokenDriftRow.job_id == job_id,
            TokenDriftRow.update_index > after_update,
            stands(TokenDriftRow),
        )
        .order_by(TokenDriftRow.update_index)
        .limit(limit)
    )
    names = [field.name for field in fields(TokenDriftRecord)]
    return [
        KeptUpdate(
            attempt=row.epoch,
            step=row.step,
            update=row.update_index,
            drift=TokenDriftRecord(**{name: getattr(row, name) for name in names}),
        )
        for row in rows
    ]
