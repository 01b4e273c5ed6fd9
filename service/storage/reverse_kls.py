"""The student's distance to the teacher in SQL: of those measurements that stand, one a stage and benchmark."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs import stages
from service.jobs.records import ReverseKlRecord
from service.jobs.results import ReverseKl
from service.storage.new_rows import insert_new
from service.storage.result_reads import stands
from service.storage.state_moves import Lease
from service.storage.tables import ReverseKlRow


def insert_reverse_kl(
    session: Session, lease: Lease, record: ReverseKlRecord, *, update_index: int, now: datetime
) -> None:
    """Under the fence, which the caller holds; a second time changes nothing."""
    row = {
        "job_id": lease.job_id,
        "epoch": lease.epoch,
        "update_index": update_index,
        "created_at": now,
        **asdict(record),
    }
    insert_new(session, ReverseKlRow, [row])


def standing_reverse_kls(
    session: Session, job_ids: Sequence[str], *, stage: str | None = None
) -> list[ReverseKlRow]:
    """Of the jobs, at one stage or at any: the newest of each stage and benchmark, in a reader's order."""
    query = select(ReverseKlRow).where(ReverseKlRow.job_id.in_(job_ids), stands(ReverseKlRow))
    if stage is not None:
        query = query.where(ReverseKlRow.stage == stage)
    rows = session.scalars(query.order_by(ReverseKlRow.epoch))
    newest = {(row.job_id, row.stage, row.benchmark): row for row in rows}
    return sorted(newest.values(), key=lambda row: (stages.order_of(row.stage), row.benchmark))


def read_reverse_kls(session: Session, job_id: str) -> tuple[ReverseKl, ...]:
    """As a client reads them."""
    return tuple(
        ReverseKl(
            attempt=row.epoch,
            **{name: getattr(row, name) for name in ReverseKl.model_fields if name != "attempt"},
        )
        for row in standing_reverse_kls(session, [job_id])
    )
