"""Reads of what a worker measured: only rows that stand, in the shape that clients get."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session, aliased

from service.jobs.catalog import Metric
from service.jobs.results import (
    Checkpoint,
    DriftMap,
    JobMetrics,
)
from service.storage.tables import (
    AttemptRow,
    CheckpointRow,
    EvaluationRow,
    EvaluationSampleRow,
    UpdateMetricsRow,
)


def read_metrics(
    session: Session, job_id: str, *, names: Sequence[str], after_update: int
) -> JobMetrics:
    rows = session.execute(
        select(
            UpdateMetricsRow.update_index,
            UpdateMetricsRow.step,
            UpdateMetricsRow.epoch,
            UpdateMetricsRow.metric_values,
        )
        .where(
            UpdateMetricsRow.job_id == job_id,
            UpdateMetricsRow.update_index > after_update,
            stands(UpdateMetricsRow),
        )
        .order_by(UpdateMetricsRow.update_index)
    ).all()
    recorded = {name for row in rows for name in row.metric_values}
    columns = names or [metric.value for metric in Metric if metric.value in recorded]
    return JobMetrics(
        job_id=job_id,
        update=tuple(row.update_index for row in rows),
        step=tuple(row.step for row in rows),
        attempt=tuple(row.epoch for row in rows),
        columns={name: tuple(row.metric_values.get(name) for row in rows) for name in columns},
    )


def read_drift_map(
    session: Session, job_id: str, *, block_size: int, after_update: int, max_rows: int
) -> DriftMap:
    of_job = [
        UpdateMetricsRow.job_id == job_id,
        UpdateMetricsRow.update_index > after_update,
        stands(UpdateMetricsRow),
    ]
    by_update = UpdateMetricsRow.update_index
    updates = session.scalars(select(by_update).where(*of_job).order_by(by_update)).all()
    rows = session.execute(
        select(by_update, UpdateMetricsRow.drift_by_block)
        .where(*of_job, by_update.in_(_evenly(updates, max_rows)))
        .order_by(by_update)
    ).all()
    width = max((len(row.drift_by_block) for row in rows), default=0)
    padded = [
        row.drift_by_block + [[0, None, None]] * (width - len(row.drift_by_block)) for row in rows
    ]
    return DriftMap(
        job_id=job_id,
        block_size=block_size,
        update=tuple(row.update_index for row in rows),
        num_tokens=tuple(tuple(cell[0] for cell in cells) for cells in padded),
        mean_drift_nats=tuple(tuple(cell[1] for cell in cells) for cells in padded),
        mean_abs_drift_nats=tuple(tuple(cell[2] for cell in cells) for cells in padded),
    )


def effective_evaluations(session: Session, job_id: str) -> list[EvaluationRow]:
    """One row per stage and benchmark: of those that stand, the one of the newest attempt."""
    rows = session.scalars(
        select(EvaluationRow)
        .where(EvaluationRow.job_id == job_id, stands(EvaluationRow))
        .order_by(EvaluationRow.epoch)
    )
    return list({(row.stage, row.benchmark): row for row in rows}.values())


def effective_checkpoints(session: Session, job_id: str) -> list[Checkpoint]:
    rows = session.scalars(
        select(CheckpointRow)
        .where(CheckpointRow.job_id == job_id, stands(CheckpointRow))
        .order_by(CheckpointRow.update_index.desc(), CheckpointRow.epoch.desc())
    )
    return [
        Checkpoint(
            attempt=row.epoch,
            step=row.step,
            update=row.update_index,
            uri=row.uri,
            size_bytes=row.size_bytes,
            manifest_sha256=row.manifest_sha256,
            final=row.final,
            created_at=row.created_at,
        )
        for row in rows
    ]


def stands(
    table: type[UpdateMetricsRow]
    | type[EvaluationRow]
    | type[EvaluationSampleRow]
    | type[CheckpointRow],
) -> ColumnElement[bool]:
    """No later attempt resumed from before this row."""
    later = aliased(AttemptRow)
    return ~exists().where(
        later.job_id == table.job_id,
        later.epoch > table.epoch,
        later.resumed_from_update < table.update_index,
    )


def _evenly(updates: Sequence[int], max_rows: int) -> list[int]:
    """At most `max_rows` of them, evenly spaced; the last is always one."""
    if len(updates) <= max_rows:
        return list(updates)
    # From the end, so that the newest row is there whatever max_rows is.
    return [updates[len(updates) * (index + 1) // max_rows - 1] for index in range(max_rows)]
