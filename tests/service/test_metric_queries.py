import math
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.metric_queries import MetricQuery, MetricSeriesSet, MetricX
from service.jobs.records import UpdateRecord
from service.jobs.spec import JobSpec
from service.metric_queries import query_metrics
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore

LOSS, TOKENS = Metric.LOSS.value, Metric.TOTAL_TOKENS.value


@pytest.fixture
def result_store(database):
    return ResultStore(database)


@pytest.fixture
def claim(database):
    def claim_new():
        jobs = JobStore(database)
        spec = JobSpec.model_validate(
            {
                "student": {"model": "builtin/arithmetic-student"},
                "teacher": {"model": "builtin/arithmetic-teacher"},
                "prompts": {"problems": {"source": "arithmetic"}},
            }
        )
        jobs.create(spec, warnings=(), queue="default")
        return jobs.claim(queue="default", owner="worker", lease_s=60).lease

    return claim_new


@pytest.fixture
def started_at(database):
    def read(lease):
        return JobStore(database).get(lease.job_id).started_at

    return read


def a_record(update, loss, *, tokens=None, at=None):
    """Two updates a step."""
    metrics = {Metric.LOSS: loss}
    if tokens is not None:
        metrics[Metric.TOTAL_TOKENS] = tokens
    return UpdateRecord((update + 1) // 2, update, metrics, (), at)


def points(series):
    return list(zip(series.x, series.value, strict=True))


def test_each_job_and_each_key_is_one_series_in_the_order_asked_for(result_store, claim):
    first, second = claim(), claim()
    result_store.append_updates(first, [a_record(1, 0.5, tokens=10.0), a_record(2, 0.25)])
    result_store.append_updates(second, [a_record(1, 3.0)])
    query = MetricQuery((second.job_id, first.job_id, second.job_id), (TOKENS, LOSS, LOSS))
    answer = query_metrics(query, result_store=result_store)
    assert answer.x is MetricX.STEP
    assert [(one.job_id, one.key, points(one)) for one in answer.series] == [
        (second.job_id, TOKENS, []),
        (second.job_id, LOSS, [(1.0, 3.0)]),
        (first.job_id, TOKENS, [(1.0, 10.0)]),
        (first.job_id, LOSS, [(1.0, 0.5), (1.0, 0.25)]),
    ]
    assert [one.num_points for one in answer.series] == [0, 1, 1, 2]


def test_a_curve_is_drawn_over_steps_updates_tokens_or_time(result_store, claim, started_at):
    lease = claim()
    start = started_at(lease)
    records = [
        a_record(1, 0.1, tokens=10.0, at=start + timedelta(seconds=4)),
        a_record(2, 0.2),  # neither tokens nor time were recorded
        a_record(3, 0.3, tokens=math.nan, at=start + timedelta(seconds=5.5)),
    ]
    result_store.append_updates(lease, records)
    expected = {
        MetricX.STEP: [(1.0, 0.1), (1.0, 0.2), (2.0, 0.3)],
        MetricX.UPDATE: [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)],
        MetricX.TOKENS: [(10.0, 0.1)],
        MetricX.WALL_TIME: [(pytest.approx(4), 0.1), (pytest.approx(5.5), 0.3)],
    }
    for x, curve in expected.items():
        query = MetricQuery((lease.job_id,), (LOSS,), x)
        (series,) = query_metrics(query, result_store=result_store).series
        assert points(series) == curve, x


def test_a_range_includes_both_of_its_ends(result_store, claim):
    lease = claim()
    result_store.append_updates(lease, [a_record(update, 1.0 * update) for update in range(1, 21)])
    query = MetricQuery((lease.job_id,), (LOSS,), MetricX.UPDATE, 4, x_from=5, x_to=14)
    (series,) = query_metrics(query, result_store=result_store).series
    # 10 points, 4 kept: both ends, and the least and the largest of the one bucket between them.
    assert (series.num_points, series.update) == (10, (5, 6, 13, 14))
    open_query = MetricQuery((lease.job_id,), (LOSS,), x_from=10)
    (series,) = query_metrics(open_query, result_store=result_store).series
    assert series.update == (19, 20)


def test_what_a_resumed_attempt_computed_anew_replaces_what_was_there(
    result_store, claim, database
):
    lease = claim()
    result_store.resume_from(lease, update=0)
    result_store.append_updates(lease, [a_record(update, 1.0) for update in range(1, 151)])
    jobs = JobStore(database)
    jobs.release(lease, message="crashed", counted=True, max_attempts=9)
    lease = jobs.claim(queue="default", owner="worker", lease_s=60).lease
    result_store.resume_from(lease, update=100)
    result_store.append_updates(lease, [a_record(101, 2.0)])
    query = MetricQuery((lease.job_id,), (LOSS,), MetricX.UPDATE)
    (series,) = query_metrics(query, result_store=result_store).series
    assert series.update == tuple(range(1, 102))
    assert series.attempt == (1,) * 100 + (2,)
    assert series.value == (1.0,) * 100 + (2.0,)


def test_peaks_and_values_that_are_not_finite_stay_visible_in_a_long_curve(result_store, claim):
    lease = claim()
    odd = {300: 99.0, 301: -99.0, 700: math.nan, 900: -math.inf}
    result_store.append_updates(
        lease, [a_record(update, odd.get(update, update % 7)) for update in range(1, 1001)]
    )
    query = MetricQuery((lease.job_id,), (LOSS,), MetricX.UPDATE, max_points=20)
    answer = query_metrics(query, result_store=result_store)
    (series,) = answer.series
    assert {1, 300, 301, 700, 900, 1000} <= set(series.update)
    assert len(series.value) <= 20
    assert math.isnan(series.value[series.update.index(700)])
    read = MetricSeriesSet.model_validate_json(answer.model_dump_json())
    assert repr(read) == repr(answer)
    assert '"NaN"' in answer.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"job_ids": ()}, "job_id"),
        ({"job_ids": ("0" * 32,) * 51}, "job_id"),
        ({"keys": ()}, "key"),
        ({"keys": (LOSS,) * 51}, "key"),
        ({"keys": ("loss\0",)}, "key"),
        ({"keys": ("step",)}, "key"),
        ({"max_points": 1}, "max_points"),
        ({"max_points": 5001}, "max_points"),
        ({"x_from": math.nan}, "x_from"),
        ({"x_to": math.inf}, "x_to"),
        ({"x_from": 2, "x_to": 1}, "x_from"),
        (
            {"job_ids": tuple(f"{n:032x}" for n in range(50)), "keys": (LOSS, TOKENS)}
            | {"max_points": 2501},
            "max_points",
        ),
    ],
)
def test_a_query_out_of_bounds_is_refused(result_store, changes, field):
    query = MetricQuery(**({"job_ids": ("0" * 32,), "keys": (LOSS,)} | changes))
    with pytest.raises(DriftgateError) as caught:
        query_metrics(query, result_store=result_store)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert caught.value.violations[0].field == field


def test_one_unknown_job_among_others_is_not_found(result_store, claim):
    query = MetricQuery((claim().job_id, "f" * 32), (LOSS,))
    with pytest.raises(DriftgateError) as caught:
        query_metrics(query, result_store=result_store)
    assert caught.value.code is ErrorCode.JOB_NOT_FOUND


def test_jobs_that_were_recorded_without_times_have_no_curve_over_time(result_store, claim):
    lease = claim()
    result_store.append_updates(lease, [a_record(1, 1.0), a_record(2, 1.0)])
    query = MetricQuery((lease.job_id,), (LOSS,), MetricX.WALL_TIME)
    assert query_metrics(query, result_store=result_store).series[0].num_points == 0
    latest = result_store.latest_metrics(lease.job_id).metrics[LOSS]
    assert (latest.update, latest.at) == (2, None)
    at = datetime(2026, 1, 5, tzinfo=UTC)
    result_store.append_updates(lease, [a_record(3, 1.0, at=at)])
    assert result_store.latest_metrics(lease.job_id).metrics[LOSS].at == at
