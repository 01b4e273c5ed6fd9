"""Reads of what a worker measured: only rows that stand, in the shape that clients get."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, aliased

from service.jobs.catalog import Metric
from service.jobs.results import (
    Checkpoint,
    DriftMap,
    JobMetrics,
)
from service.storage.metric_numbers import number_of_json
from service.storage.metric_spans import Span, standing_spans
from service.storage.tables import (
    AttemptRow,
    CheckpointRow,
    EvaluationRow,
    EvaluationSampleRow,
    GradientFidelityRow,
    ReverseKlRow,
    TokenDriftRow,
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
        columns={
            name: tuple(number_of_json(row.metric_values.get(name)) for row in rows)
            for name in columns
        },
    )


def read_drift_map(
    session: Session,
    job_id: str,
    *,
    block_size: int,
    after_update: int,
    max_rows: int,
    max_cells: int,
) -> DriftMap:
    spans = [
        Span(span.epoch, max(span.after, after_update), span.until)
        for span in standing_spans(session, job_id)
    ]
    # Updates follow each other, so their ends say which there are; where one is missing, they are listed.
    ranges = [_range_of(session, job_id, span) for span in spans]
    chosen = _fitting(session, job_id, spans, ranges, max_rows=max_rows, max_cells=max_cells)
    rows = _drift_rows(session, job_id, spans, chosen)
    if len(rows) < sum(map(len, chosen)):
        listed = [_updates_of(session, job_id, span) for span in spans]
        chosen = _fitting(session, job_id, spans, listed, max_rows=max_rows, max_cells=max_cells)
        rows = _drift_rows(session, job_id, spans, chosen)
    width = max((len(cells) for _, cells in rows), default=0)
    padded = [cells + [[0, None, None]] * (width - len(cells)) for _, cells in rows]
    return DriftMap(
        job_id=job_id,
        block_size=block_size,
        update=tuple(update for update, _ in rows),
        num_tokens=tuple(tuple(cell[0] for cell in cells) for cells in padded),
        mean_drift_nats=tuple(tuple(number_of_json(cell[1]) for cell in cells) for cells in padded),
        mean_abs_drift_nats=tuple(
            tuple(number_of_json(cell[2]) for cell in cells) for cells in padded
        ),
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
    | type[TokenDriftRow]
    | type[EvaluationRow]
    | type[EvaluationSampleRow]
    | type[ReverseKlRow]
    | type[GradientFidelityRow]
    | type[CheckpointRow],
) -> ColumnElement[bool]:
    """No later attempt resumed from before this row."""
    later = aliased(AttemptRow)
    return ~exists().where(
        later.job_id == table.job_id,
        later.epoch > table.epoch,
        later.resumed_from_update < table.update_index,
    )


def _fitting(
    session: Session,
    job_id: str,
    spans: Sequence[Span],
    updates: Sequence[Sequence[int]],
    *,
    max_rows: int,
    max_cells: int,
) -> list[list[int]]:
    """At most `max_rows` of all of them, evenly spaced; several only where `max_cells` holds their blocks."""

    def num_rows_allowed(of: Sequence[Sequence[int]]) -> int:
        return max(1, max_cells // max(1, _most_blocks(session, job_id, spans, of)))

    # The newest is always one of them: its blocks alone spare a look at the blocks of many wide ones.
    chosen = _evenly(updates, min(max_rows, num_rows_allowed(_evenly(updates, 1))))
    while (allowed := num_rows_allowed(chosen)) < sum(map(len, chosen)):
        chosen = _evenly(updates, allowed)
    return chosen


def _most_blocks(
    session: Session, job_id: str, spans: Sequence[Span], updates: Sequence[Sequence[int]]
) -> int:
    """Of the widest of these updates; counted in the database, as cells take much memory here."""
    query = select(
        func.coalesce(func.max(func.json_array_length(UpdateMetricsRow.drift_by_block)), 0)
    )
    by_update = UpdateMetricsRow.update_index
    return max(
        (
            session.scalars(query.where(*_inside(job_id, span), by_update.in_(of_span))).one()
            for span, of_span in zip(spans, updates, strict=True)
            if of_span
        ),
        default=0,
    )


def _drift_rows(
    session: Session, job_id: str, spans: Sequence[Span], updates: Sequence[Sequence[int]]
) -> list[tuple[int, list[Any]]]:
    """Update and drift of those of the updates, by span, that were recorded."""
    by_update = UpdateMetricsRow.update_index
    query = select(by_update, UpdateMetricsRow.drift_by_block).order_by(by_update)
    return [
        (row.update_index, row.drift_by_block)
        for span, of_span in zip(spans, updates, strict=True)
        if of_span
        for row in session.execute(query.where(*_inside(job_id, span), by_update.in_(of_span)))
    ]


def _range_of(session: Session, job_id: str, span: Span) -> range:
    """From the first to the last that was recorded; two queries, each a look at one end of the index."""
    by_update = UpdateMetricsRow.update_index
    first = session.scalar(select(func.min(by_update)).where(*_inside(job_id, span)))
    last = session.scalar(select(func.max(by_update)).where(*_inside(job_id, span)))
    return range(0) if first is None or last is None else range(first, last + 1)


def _updates_of(session: Session, job_id: str, span: Span) -> Sequence[int]:
    by_update = UpdateMetricsRow.update_index
    query = select(by_update).where(*_inside(job_id, span)).order_by(by_update)
    return session.scalars(query).all()


def _inside(job_id: str, span: Span) -> list[ColumnElement[bool]]:
    return [
        UpdateMetricsRow.job_id == job_id,
        UpdateMetricsRow.epoch == span.epoch,
        UpdateMetricsRow.update_index > span.after,
        UpdateMetricsRow.update_index <= span.until,
    ]


def _evenly(updates: Sequence[Sequence[int]], max_rows: int) -> list[list[int]]:
    """At most `max_rows` of all of them, evenly spaced; the last is always one."""
    total = sum(map(len, updates))
    count = min(total, max_rows)
    # From the end, so that the newest row is there whatever max_rows is.
    places = [total * (index + 1) // count - 1 for index in range(count)]
    chosen = []
    before = 0
    for part in updates:
        inside = slice(bisect_left(places, before), bisect_left(places, before + len(part)))
        chosen.append([part[place - before] for place in places[inside]])
        before += len(part)
    return chosen
