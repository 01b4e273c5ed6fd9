"""Measurements of gradient fidelity in SQL: those that stand, one a batch and depth."""

from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs.gradient_fidelity import (
    GradientFidelity,
    GradientMeasurement,
    WeightingAlignment,
)
from service.jobs.records import GradientFidelityRecord
from service.storage.new_rows import insert_new
from service.storage.result_reads import stands
from service.storage.state_moves import Lease
from service.storage.tables import GradientFidelityRow


def insert_gradient_fidelity(
    session: Session, lease: Lease, record: GradientFidelityRecord
) -> None:
    """Under the fence, which the caller holds; a second time changes nothing."""
    row = asdict(record)
    row["update_index"] = row.pop("update")
    row["weightings"] = [
        [each.weighting, each.cosine, each.norm_ratio] for each in record.weightings
    ]
    key = {"job_id": lease.job_id, "epoch": lease.epoch}
    insert_new(session, GradientFidelityRow, [key | row])


def read_gradient_fidelity(session: Session, job_id: str) -> GradientFidelity:
    """As a client reads it."""
    rows = session.scalars(
        select(GradientFidelityRow)
        .where(GradientFidelityRow.job_id == job_id, stands(GradientFidelityRow))
        .order_by(GradientFidelityRow.epoch)
    )
    newest = {(row.update_index, row.depth): row for row in rows}
    return GradientFidelity(
        job_id=job_id, measurements=tuple(_measurement(newest[key]) for key in sorted(newest))
    )


def _measurement(row: GradientFidelityRow) -> GradientMeasurement:
    return GradientMeasurement(
        step=row.step,
        update=row.update_index,
        attempt=row.epoch,
        depth=row.depth,
        num_tokens=row.num_tokens,
        num_fresh_tokens=row.num_fresh_tokens,
        reverse_kl_nats=row.reverse_kl_nats,
        half_cosine=row.half_cosine,
        weightings=tuple(
            WeightingAlignment(weighting=name, cosine=cosine, norm_ratio=norm_ratio)
            for name, cosine, norm_ratio in row.weightings
        ),
    )
