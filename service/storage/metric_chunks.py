"""Columns of metrics as bytes, made from full runs of `update_metrics`.

A run is UPDATES_PER_CHUNK updates of one attempt that follow each other and begin after a multiple of that
number. A chunk is one column of it: little-endian float64, one value an update, under the metric's name or
under a name without a slash: STEP, and AT, when the update ended, in Unix seconds. A column of which the run
has no value has no chunk, except STEP.

A value that was not recorded is the one NaN with payload 1; every NaN that was recorded has payload 0.
The rows stay the truth: a run that never fills, such as the one in which an attempt ends, is read from them.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.storage.metric_numbers import number_of_json
from service.storage.new_rows import insert_new
from service.storage.tables import MetricChunkRow, UpdateMetricsRow

Values = NDArray[np.float64]

UPDATES_PER_CHUNK = 256
STEP = "step"
AT = "at"
NOT_RECORDED_BITS = np.uint64(0x7FF8_0000_0000_0001)
NOT_RECORDED = np.array([NOT_RECORDED_BITS]).view(np.float64)


def values_of(numbers: Sequence[float | None]) -> Values:
    """The numbers with the mark of what was not recorded in place of None."""
    values = np.array(numbers, dtype=np.float64)  # None becomes a NaN
    for position in np.flatnonzero(np.isnan(values)):
        values[position] = NOT_RECORDED[0] if numbers[position] is None else np.nan
    return values


def is_recorded(values: Values) -> NDArray[np.bool_]:
    """False where the mark of what was not recorded stands."""
    recorded: NDArray[np.bool_] = values.view(np.uint64) != NOT_RECORDED_BITS
    return recorded


def content_of(values: Values) -> bytes:
    return values.astype("<f8").tobytes()


def values_of_content(content: bytes) -> Values:
    return np.frombuffer(content, dtype="<f8")


def columns_of_rows(
    rows: Iterable[UpdateMetricsRow], *, names: Iterable[str]
) -> Mapping[str, Values]:
    """The named columns of the rows, with STEP and AT among the names that there are."""
    rows = list(rows)
    return {name: values_of([_number(row, name) for row in rows]) for name in names}


def _number(row: UpdateMetricsRow, name: str) -> float | None:
    if name == STEP:
        return row.step
    if name == AT:
        return None if row.at is None else row.at.timestamp()
    return number_of_json(row.metric_values.get(name))


def add_full_chunks(session: Session, job_id: str, *, epoch: int, updates: Iterable[int]) -> None:
    """Make the chunks of every run that holds one of these updates and is full by now.

    Called in the transaction that wrote the updates; a chunk that is there stays as it is.
    """
    runs = {(update - 1) // UPDATES_PER_CHUNK for update in updates}
    for run in sorted(runs):
        first_update = 1 + run * UPDATES_PER_CHUNK
        in_run = [
            UpdateMetricsRow.job_id == job_id,
            UpdateMetricsRow.epoch == epoch,
            UpdateMetricsRow.update_index.between(
                first_update, first_update + UPDATES_PER_CHUNK - 1
            ),
        ]
        count = session.scalar(select(func.count()).select_from(UpdateMetricsRow).where(*in_run))
        if count == UPDATES_PER_CHUNK:
            rows = session.execute(
                select(UpdateMetricsRow.step, UpdateMetricsRow.at, UpdateMetricsRow.metric_values)
                .where(*in_run)
                .order_by(UpdateMetricsRow.update_index)
            ).all()
            _add_chunks(session, job_id, epoch=epoch, first_update=first_update, rows=rows)
