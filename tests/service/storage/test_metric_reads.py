import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.records import UpdateRecord
from service.storage.metric_chunks import AT, STEP, is_recorded
from service.storage.metric_numbers import number_of_json
from service.storage.result_reads import stands
from service.storage.tables import UpdateMetricsRow

START = datetime(2026, 1, 5, tzinfo=UTC)
NAMES = (Metric.LOSS, Metric.GATE_STD)


def a_record(update, metrics):
    at = START + timedelta(seconds=update)
    return UpdateRecord(1 + update // 6, update, metrics, (), at)


def losses(first, last, loss):
    return [a_record(update, {Metric.LOSS: loss}) for update in range(first, last + 1)]


@pytest.fixture
def new_job(job_store, result_store, spec):
    """A fresh job, as a function that starts its next attempt."""

    def make():
        job_store.create(spec, warnings=(), queue="default")
        leases = []

        def start(*, resume_from):
            for lease in leases[-1:]:
                job_store.release(lease, message="crashed", counted=False, max_attempts=100)
            leases.append(job_store.claim(queue="default", owner="worker", lease_s=60).lease)
            if resume_from is not None:
                result_store.resume_from(leases[-1], update=resume_from)
            return leases[-1]

        return start

    return make


def read(result_store, job_id, *names):
    """(update, attempt, step, values …) of each update, None where not recorded."""
    columns = result_store.metric_columns(job_id, names=list(names))
    numbers = [
        [
            value if recorded else None
            for value, recorded in zip(values.tolist(), is_recorded(values), strict=True)
        ]
        for values in (columns.by_name[name] for name in (STEP, *names))
    ]
    return list(zip(columns.update.tolist(), columns.attempt.tolist(), *numbers, strict=True))


def test_chunks_and_the_rows_after_them_are_one_column(result_store, new_job):
    lease = new_job()(resume_from=0)
    result_store.append_updates(lease, losses(1, 130, 0.5))
    rows = read(result_store, lease.job_id, Metric.LOSS, Metric.GATE_STD, AT)
    assert [row[0] for row in rows] == list(range(1, 131))
    assert rows[0] == (1, 1, 1.0, 0.5, None, START.timestamp() + 1)
    assert rows[-1] == (130, 1, 22.0, 0.5, None, START.timestamp() + 130)


def test_a_chunk_is_cut_where_a_later_attempt_went_on(result_store, new_job):
    start = new_job()
    lease = start(resume_from=0)
    result_store.append_updates(lease, losses(1, 130, 1.0))
    lease = start(resume_from=100)
    result_store.append_updates(lease, losses(101, 200, 2.0))
    rows = read(result_store, lease.job_id, Metric.LOSS)
    assert [row[0] for row in rows] == list(range(1, 201))
    assert [row[1] for row in rows] == [1] * 100 + [2] * 100
    assert [row[3] for row in rows] == [1.0] * 100 + [2.0] * 100
    # Back to the start: nothing that came before stands.
    start(resume_from=0)
    assert read(result_store, lease.job_id, Metric.LOSS) == []


def test_an_attempt_that_trained_nothing_supersedes_nothing(result_store, new_job):
    start = new_job()
    lease = start(resume_from=0)
    result_store.append_updates(lease, losses(1, 66, 1.0))
    start(resume_from=None)
    assert len(read(result_store, lease.job_id, Metric.LOSS)) == 66
    lease = start(resume_from=60)
    result_store.append_updates(lease, losses(61, 61, 3.0))
    assert [row[1] for row in read(result_store, lease.job_id)] == [1] * 60 + [3]


def test_an_update_that_was_never_recorded_is_not_there(result_store, new_job):
    lease = new_job()(resume_from=0)
    result_store.append_updates(lease, [*losses(1, 133, 1.0), *losses(140, 300, 1.0)])
    updates = [row[0] for row in read(result_store, lease.job_id, Metric.LOSS)]
    assert updates == [*range(1, 134), *range(140, 301)]


def test_a_job_without_updates_has_empty_columns(result_store, job_store, spec):
    job = job_store.create(spec, warnings=(), queue="default")
    assert read(result_store, job.id, Metric.LOSS) == []
    assert result_store.latest_metrics(job.id).metrics == {}


def test_the_latest_values_are_of_the_updates_that_recorded_them(result_store, new_job):
    start = new_job()
    lease = start(resume_from=0)
    early = {Metric.LOSS: 1.0, Metric.GATE_STD: 0.5, Metric.CLIP_FRACTION: math.nan}
    result_store.append_updates(lease, [a_record(3, early), *losses(4, 150, 2.0)])
    lease = start(resume_from=148)
    result_store.append_updates(lease, [a_record(149, {Metric.LOSS: -math.inf})])
    latest = result_store.latest_metrics(lease.job_id).metrics
    assert list(latest) == ["train/loss", "objective/clip_fraction", "gate/std"]
    loss, gate_std = latest["train/loss"], latest["gate/std"]
    assert (loss.value, loss.update, loss.step, loss.attempt) == (-math.inf, 149, 25, 2)
    assert loss.at == START + timedelta(seconds=149)
    # 0.5 is older than the newest 64 updates.
    assert (gate_std.value, gate_std.update, gate_std.attempt) == (0.5, 3, 1)
    assert gate_std.at == START + timedelta(seconds=3)
    assert math.isnan(latest["objective/clip_fraction"].value)


def test_an_unknown_job_is_not_found(result_store):
    for job_id in ("0" * 32, "a\0b", "\ud800"):
        for ask in (
            lambda job_id: result_store.metric_columns(job_id, names=[]),
            result_store.latest_metrics,
        ):
            with pytest.raises(DriftgateError) as caught:
                ask(job_id)
            assert caught.value.code is ErrorCode.JOB_NOT_FOUND


A_VALUE = st.none() | st.floats()
# Attempts of batches: how far back each goes, and how many updates its batches have.
ATTEMPTS = st.lists(
    st.tuples(
        st.integers(0, 150), st.lists(st.integers(1, 90), min_size=1, max_size=4), A_VALUE, A_VALUE
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ATTEMPTS)
def test_columns_are_what_the_rows_say_whatever_the_attempts_and_batches(
    result_store, database, new_job, attempts
):
    start = new_job()
    update = 0
    for back, batch_sizes, *values in attempts:
        update = max(0, update - back)
        lease = start(resume_from=update)
        for size in batch_sizes:
            batch = [
                a_record(
                    update + 1 + index,
                    {
                        name: value if math.isnan(value) else value + index
                        for name, value in zip(NAMES, values, strict=True)
                        if value is not None and (index % 3 == 0 or name is Metric.LOSS)
                    },
                )
                for index in range(size)
            ]
            result_store.append_updates(lease, batch)
            result_store.append_updates(lease, batch[size // 2 :])
            update += size
    found = read(result_store, lease.job_id, *NAMES)
    assert repr(found) == repr(searched(database, lease.job_id))


def searched(database, job_id):
    with database.read() as session:
        rows = session.scalars(
            select(UpdateMetricsRow)
            .where(UpdateMetricsRow.job_id == job_id, stands(UpdateMetricsRow))
            .order_by(UpdateMetricsRow.update_index)
        )
        return [
            (
                row.update_index,
                row.epoch,
                1.0 * row.step,
                *(number_of_json(row.metric_values.get(name)) for name in NAMES),
            )
            for row in rows
        ]
