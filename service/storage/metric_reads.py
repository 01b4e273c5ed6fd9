"""Metrics of one job in columns of numbers: from chunks where there are any, from rows elsewhere."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs.catalog import Metric
from service.jobs.metric_queries import LatestMetric
from service.storage.engines import BINARY_RESULTS
from service.storage.job_rows import no_such_job
from service.storage.metric_chunks import (
    AT,
    STEP,
    UpdateNumbers,
    Values,
    column_of,
    is_recorded,
    not_recorded,
    read_update_numbers,
    values_of_content,
)
from service.storage.metric_numbers import number_of_json
from service.storage.metric_spans import Span, standing_spans
from service.storage.row_ids import is_id
from service.storage.tables import JobRow, MetricChunkRow, UpdateMetricsRow

NUM_NEWEST_ROWS = 64

Numbers = NDArray[np.int64]
NO_UPDATES = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class MetricColumns:
    """The updates that stand, ascending, in columns of equal length; see `metric_chunks` on what is in none.

    started_at_s: Unix time of the job's first claim, NaN before it. by_name: STEP and what was asked for.
    """

    job_id: str
    started_at_s: float
    update: Numbers
    attempt: Numbers
    by_name: Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class _Part:
    """Some updates of one attempt."""

    epoch: int
    update: Numbers
    by_name: Mapping[str, Values]


def read_columns(session: Session, job_id: str, *, names: Sequence[str]) -> MetricColumns:
    """names: of metrics, and AT. Raises JOB_NOT_FOUND."""
    started_at_s = _started_at_s(session, job_id)
    names = list(dict.fromkeys([STEP, *names]))
    chunks = _read_chunks(session, job_id, names=names)
    parts = [
        part
        for span in standing_spans(session, job_id)
        for part in _parts(session, job_id, span, chunks=chunks[span.epoch], names=names)
    ]
    lengths = [len(part.update) for part in parts]
    return MetricColumns(
        job_id=job_id,
        started_at_s=started_at_s,
        update=np.concatenate([NO_UPDATES, *(part.update for part in parts)]),
        attempt=np.repeat(np.array([part.epoch for part in parts], dtype=np.int64), lengths),
        by_name={
            name: np.concatenate([not_recorded(0), *(part.by_name[name] for part in parts)])
            for name in names
        },
    )


def read_latest(session: Session, job_id: str) -> dict[str, LatestMetric]:
    """The newest value of every metric that was recorded, of a job that is there."""
    latest: dict[str, LatestMetric] = {}
    for epoch, row in _newest_rows(session, job_id):
        for name in row.metric_values.keys() - latest.keys():
            value = number_of_json(row.metric_values[name])
            if value is not None:
                latest[name] = LatestMetric(
                    value=value, update=row.update, step=row.step, attempt=epoch, at=row.at
                )
    # Some come once a step, and some never: those are looked for in all that there is.
    older = [metric.value for metric in Metric if metric.value not in latest]
    latest |= _latest_of(read_columns(session, job_id, names=[AT, *older]), older)
    return {metric.value: latest[metric.value] for metric in Metric if metric.value in latest}


def _started_at_s(session: Session, job_id: str) -> float:
    query = select(JobRow.started_at).where(JobRow.id == job_id)
    found = session.execute(query).first() if is_id(job_id) else None
    if found is None:
        raise no_such_job(job_id)
    return math.nan if found.started_at is None else found.started_at.timestamp()


def _read_chunks(
    session: Session, job_id: str, *, names: Sequence[str]
) -> Mapping[int, Mapping[int, Mapping[str, Values]]]:
    """By attempt, by first update, by column."""
    rows = session.execute(
        select(
            MetricChunkRow.epoch,
            MetricChunkRow.first_update,
            MetricChunkRow.column,
            MetricChunkRow.content,
        ).where(MetricChunkRow.job_id == job_id, MetricChunkRow.column.in_(names)),
        execution_options={BINARY_RESULTS: True},
    )
    chunks: dict[int, dict[int, dict[str, Values]]] = defaultdict(lambda: defaultdict(dict))
    for epoch, first_update, name, content in rows:
        chunks[epoch][first_update][name] = values_of_content(content)
    return chunks


def _parts(
    session: Session,
    job_id: str,
    span: Span,
    *,
    chunks: Mapping[int, Mapping[str, Values]],
    names: Sequence[str],
) -> Iterator[_Part]:
    """The updates of a span, ascending: chunks, cut where the span cuts them, and rows between them."""
    done = span.after
    for first_update, columns in sorted(chunks.items()):
        count = len(columns[STEP])
        first = max(first_update, done + 1)
        last = min(first_update + count - 1, span.until)
        if first > last:
            continue
        if first > done + 1:
            yield _part_of_rows(session, job_id, Span(span.epoch, done, first - 1), names=names)
        inside = slice(first - first_update, last + 1 - first_update)
        yield _Part(
            epoch=span.epoch,
            update=np.arange(first, last + 1),
            by_name={
                name: columns[name][inside] if name in columns else not_recorded(last + 1 - first)
                for name in names
            },
        )
        done = last
    if done < span.until:
        yield _part_of_rows(session, job_id, Span(span.epoch, done, span.until), names=names)


def _part_of_rows(session: Session, job_id: str, span: Span, *, names: Sequence[str]) -> _Part:
    rows = read_update_numbers(
        session, job_id, epoch=span.epoch, first=span.after + 1, last=span.until
    )
    return _Part(
        epoch=span.epoch,
        update=np.array([row.update for row in rows], dtype=np.int64),
        by_name={name: column_of(rows, name) for name in names},
    )


def _newest_rows(session: Session, job_id: str) -> Iterator[tuple[int, UpdateNumbers]]:
    """Attempt and numbers of the newest updates that stand, newest first."""
    wanted = NUM_NEWEST_ROWS
    for span in reversed(standing_spans(session, job_id)):
        rows = session.execute(
            select(
                UpdateMetricsRow.update_index,
                UpdateMetricsRow.step,
                UpdateMetricsRow.at,
                UpdateMetricsRow.metric_values,
            )
            .where(
                UpdateMetricsRow.job_id == job_id,
                UpdateMetricsRow.epoch == span.epoch,
                UpdateMetricsRow.update_index.between(span.after + 1, span.until),
            )
            .order_by(UpdateMetricsRow.update_index.desc())
            .limit(wanted)
        ).all()
        yield from ((span.epoch, UpdateNumbers._make(row)) for row in rows)
        wanted -= len(rows)
        if wanted == 0:
            return


def _latest_of(columns: MetricColumns, names: Sequence[str]) -> dict[str, LatestMetric]:
    latest = {}
    for name in names:
        places = np.flatnonzero(is_recorded(columns.by_name[name]))
        if len(places):
            at = columns.by_name[AT][places[-1] :][:1]
            latest[name] = LatestMetric(
                value=float(columns.by_name[name][places[-1]]),
                update=int(columns.update[places[-1]]),
                step=int(columns.by_name[STEP][places[-1]]),
                attempt=int(columns.attempt[places[-1]]),
                at=datetime.fromtimestamp(at[0], UTC) if is_recorded(at)[0] else None,
            )
    return latest
