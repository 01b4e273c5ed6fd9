import math
import struct
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import select

from service.jobs.catalog import Metric
from service.jobs.records import UpdateRecord
from service.storage.metric_chunks import (
    AT,
    STEP,
    content_of,
    is_recorded,
    values_of,
    values_of_content,
)
from service.storage.tables import MetricChunkRow

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def a_record(update, *, at=NOON, **metrics):
    by_name = {Metric[name]: value for name, value in metrics.items()}
    return UpdateRecord(1 + update // 10, update, by_name or {Metric.LOSS: 1.0 * update}, (), at)


@pytest.fixture
def lease(job_store, result_store, spec):
    job_store.create(spec, warnings=(), queue="default")
    lease = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    result_store.resume_from(lease, update=0)
    return lease


@pytest.fixture
def chunks(database):
    """(column, first update, number of updates) of all chunks; with their values where asked for."""

    def read():
        with database.read() as session:
            rows = session.scalars(select(MetricChunkRow)).all()
            return {
                (row.column, row.first_update, row.num_updates): values_of_content(row.content)
                for row in rows
            }

    return read


def test_a_value_becomes_eight_bytes_little_endian():
    assert content_of(values_of([1.0, -2.5])) == struct.pack("<dd", 1.0, -2.5)


def test_what_was_not_recorded_differs_from_a_recorded_nan():
    odd_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))[0]
    values = values_of([1.0, None, math.nan, -math.nan, odd_nan, math.inf, -math.inf])
    read = values_of_content(content_of(values))
    assert is_recorded(read).tolist() == [True, False, True, True, True, True, True]
    assert np.isnan(read).tolist() == [False, True, True, True, True, False, False]
    assert read[5:].tolist() == [math.inf, -math.inf]


def test_a_run_is_chunked_by_the_append_that_completes_it(result_store, lease, chunks):
    result_store.append_updates(lease, [a_record(update) for update in range(1, 128)])
    assert chunks() == {}
    result_store.append_updates(lease, [a_record(128), a_record(129)])
    made = chunks()
    assert set(made) == {(STEP, 1, 128), (AT, 1, 128), ("train/loss", 1, 128)}
    assert made["train/loss", 1, 128].tolist() == [1.0 * update for update in range(1, 129)]
    assert made[STEP, 1, 128].tolist() == [1 + update // 10 for update in range(1, 129)]
    assert set(made[AT, 1, 128]) == {NOON.timestamp()}


def test_a_run_whose_gap_is_filled_late_is_chunked_then(result_store, lease, chunks):
    records = [a_record(update) for update in range(1, 129) if update != 30]
    result_store.append_updates(lease, records)
    assert chunks() == {}
    result_store.append_updates(lease, [a_record(30)])
    assert ("train/loss", 1, 128) in chunks()


def test_a_column_without_a_value_has_no_chunk(result_store, lease, chunks):
    result_store.append_updates(
        lease,
        [
            a_record(update, at=None, LOSS=math.nan, **({"GATE_STD": 0.5} if update == 7 else {}))
            for update in range(1, 129)
        ],
    )
    made = chunks()
    assert set(made) == {(STEP, 1, 128), ("train/loss", 1, 128), ("gate/std", 1, 128)}
    assert np.isnan(made["train/loss", 1, 128]).all()
    assert is_recorded(made["train/loss", 1, 128]).all()
    assert np.flatnonzero(is_recorded(made["gate/std", 1, 128])).tolist() == [6]


def test_complete_chunks_become_a_larger_one(result_store, lease, chunks):
    result_store.append_updates(lease, [a_record(update) for update in range(1, 2048)])
    assert {size for _, _, size in chunks()} == {128}
    result_store.append_updates(lease, [a_record(2048, LOSS=2048.0, GATE_STD=0.5)])
    made = chunks()
    names = {STEP, AT, "train/loss", "gate/std"}
    assert set(made) == {(name, 1, 2048) for name in names}
    assert made["train/loss", 1, 2048].tolist() == [1.0 * update for update in range(1, 2049)]
    assert np.flatnonzero(is_recorded(made["gate/std", 1, 2048])).tolist() == [2047]


def test_appending_again_changes_no_chunk(result_store, lease, chunks):
    result_store.append_updates(lease, [a_record(update) for update in range(1, 2049)])
    made = chunks()
    again = [a_record(update, LOSS=-1.0) for update in range(1900, 2049)]
    result_store.append_updates(lease, again)
    # One of them is new: the runs that it repeats are looked at once more.
    result_store.append_updates(lease, [*again, a_record(2049)])
    after = chunks()
    assert set(after) == set(made)
    assert all((after[key] == made[key]).all() for key in made)
