"""Columns of metrics as bytes, made from full runs of `update_metrics`.

A run is CHUNK_SIZES[0] updates of one attempt that follow each other and begin after a multiple of that
number. A chunk is one column of it: little-endian float64, one value an update, under the metric's name or
under a name without a slash: STEP, and AT, when the update ended, in Unix seconds. A column of which the run
has no value has no chunk, except STEP. Where the chunks of a larger size are complete they become one, so
100,000 updates are some twenty chunks a column.

A value that was not recorded is the one NaN with payload 1; every NaN that was recorded has payload 0.
The rows stay the truth: a run that never fills, such as the one in which an attempt ends, is read from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from service.storage.tables import MetricChunkRow, UpdateMetricsRow

CHUNK_SIZES = (128, 2048, 32768)  # each a multiple of the one before it
STEP = "step"
AT = "at"
NOT_RECORDED_BITS = np.uint64(0x7FF8_0000_0000_0001)

Values = NDArray[np.float64]

# Built once: the writer of every batch asks these.
UPDATES_OF_RUN = (
    UpdateMetricsRow.job_id == bindparam("job_id"),
    UpdateMetricsRow.epoch == bindparam("epoch"),
    UpdateMetricsRow.update_index.between(bindparam("first"), bindparam("last")),
)
COUNT_OF_UPDATES = select(func.count()).select_from(UpdateMetricsRow).where(*UPDATES_OF_RUN)
NUMBERS_OF_UPDATES = (
    select(
        UpdateMetricsRow.update_index,
        UpdateMetricsRow.step,
        UpdateMetricsRow.at,
        UpdateMetricsRow.metric_values,
    )
    .where(*UPDATES_OF_RUN)
    .order_by(UpdateMetricsRow.update_index)
)
STEP_CHUNKS = (
    MetricChunkRow.job_id == bindparam("job_id"),
    MetricChunkRow.column == STEP,
    MetricChunkRow.epoch == bindparam("epoch"),
)
CHUNK_THAT_HOLDS = select(MetricChunkRow.first_update).where(
    *STEP_CHUNKS,
    MetricChunkRow.first_update <= bindparam("update"),
    MetricChunkRow.first_update + MetricChunkRow.num_updates > bindparam("update"),
)
COUNT_OF_CHUNKED_UPDATES = select(func.sum(MetricChunkRow.num_updates)).where(
    *STEP_CHUNKS, MetricChunkRow.first_update.between(bindparam("first"), bindparam("last"))
)


class UpdateNumbers(NamedTuple):
    """What a row of `update_metrics` says in numbers; those of the metrics as `json_number` writes them."""

    update: int
    step: int
    at: datetime | None
    metric_values: Mapping[str, float | str | None]


def add_full_chunks(session: Session, job_id: str, *, epoch: int, updates: Iterable[int]) -> None:
    """Make the chunks of every run that holds one of these updates and is full by now.

    Called in the transaction that wrote the updates, which holds the job's row; what is there stays.
    """
    smallest, *larger = CHUNK_SIZES
    filled = [
        run
        for run in _runs_of(updates, size=smallest)
        if _add_from_rows(session, job_id, epoch=epoch, run=run)
    ]
    for size in larger:
        filled = [
            run
            for run in _runs_of((run[0] for run in filled), size=size)
            if _merge_chunks(session, job_id, epoch=epoch, run=run)
        ]


def _runs_of(updates: Iterable[int], *, size: int) -> list[range]:
    """The runs of this size that hold any of the updates; updates count from 1."""
    numbers = sorted({(update - 1) // size for update in updates})
    return [range(1 + number * size, 1 + (number + 1) * size) for number in numbers]


def _add_from_rows(session: Session, job_id: str, *, epoch: int, run: range) -> bool:
    """False where an update of the run is missing, or a chunk holds the run already."""
    place = {"job_id": job_id, "epoch": epoch, "first": run[0], "last": run[-1]}
    count = session.scalar(COUNT_OF_UPDATES, place)
    if count != len(run) or _is_held(session, job_id, epoch=epoch, update=run[0]):
        return False
    rows = read_update_numbers(session, job_id, epoch=epoch, first=run[0], last=run[-1])
    names = {name for row in rows for name in row.metric_values}
    columns = {name: column_of(rows, name) for name in [STEP, AT, *sorted(names)]}
    contents = {
        name: content_of(values) for name, values in columns.items() if is_recorded(values).any()
    }
    _add_chunks(session, job_id, epoch=epoch, run=run, contents=contents)
    return True


def _is_held(session: Session, job_id: str, *, epoch: int, update: int) -> bool:
    place = {"job_id": job_id, "epoch": epoch, "update": update}
    return session.execute(CHUNK_THAT_HOLDS, place).first() is not None


def _merge_chunks(session: Session, job_id: str, *, epoch: int, run: range) -> bool:
    """False where some updates of the run are in no chunk yet."""
    place = {"job_id": job_id, "epoch": epoch, "first": run[0], "last": run[-1]}
    if session.scalar(COUNT_OF_CHUNKED_UPDATES, place) != len(run):
        return False
    inside = [
        MetricChunkRow.job_id == job_id,
        MetricChunkRow.epoch == epoch,
        MetricChunkRow.first_update.between(run[0], run[-1]),
    ]
    columns: dict[str, Values] = {}
    for name, first_update, content in session.execute(
        select(MetricChunkRow.column, MetricChunkRow.first_update, MetricChunkRow.content).where(
            *inside
        )
    ):
        start = first_update - run[0]
        values = values_of_content(content)
        if name not in columns:
            columns[name] = not_recorded(len(run))
        columns[name][start : start + len(values)] = values
    session.execute(
        delete(MetricChunkRow).where(*inside).execution_options(synchronize_session=False)
    )
    contents = {name: content_of(values) for name, values in columns.items()}
    _add_chunks(session, job_id, epoch=epoch, run=run, contents=contents)
    return True


def _add_chunks(
    session: Session, job_id: str, *, epoch: int, run: range, contents: Mapping[str, bytes]
) -> None:
    key = {"job_id": job_id, "epoch": epoch, "first_update": run[0], "num_updates": len(run)}
    rows = [{**key, "column": name, "content": content} for name, content in contents.items()]
    session.execute(insert(MetricChunkRow), rows)


def read_update_numbers(
    session: Session, job_id: str, *, epoch: int, first: int, last: int
) -> list[UpdateNumbers]:
    """Of the updates from `first` to `last` of one attempt those that were recorded, in their order."""
    place = {"job_id": job_id, "epoch": epoch, "first": first, "last": last}
    rows = session.execute(NUMBERS_OF_UPDATES, place)
    return [UpdateNumbers._make(row) for row in rows]


def column_of(rows: Sequence[UpdateNumbers], name: str) -> Values:
    """One value a row: of a metric, or of STEP or AT."""
    if name == STEP:
        return values_of([row.step for row in rows])
    if name == AT:
        return values_of([row.at.timestamp() if row.at is not None else None for row in rows])
    return values_of([row.metric_values.get(name) for row in rows])


def values_of(numbers: Sequence[float | str | None]) -> Values:
    """Of numbers as `json_number` writes them, with the mark of what was not recorded in place of None."""
    values = np.array(numbers, dtype=np.float64)  # reads `Infinity`; None becomes a NaN too
    nans = np.flatnonzero(np.isnan(values))
    values[nans] = np.nan
    values.view(np.uint64)[[at for at in nans.tolist() if numbers[at] is None]] = NOT_RECORDED_BITS
    return values


def is_recorded(values: Values) -> NDArray[np.bool_]:
    """False where the mark of what was not recorded stands."""
    recorded: NDArray[np.bool_] = values.view(np.uint64) != NOT_RECORDED_BITS
    return recorded


def not_recorded(count: int) -> Values:
    return np.full(count, NOT_RECORDED_BITS, dtype=np.uint64).view(np.float64)


def content_of(values: Values) -> bytes:
    return values.astype("<f8").tobytes()


def values_of_content(content: bytes) -> Values:
    return np.frombuffer(content, dtype="<f8")
