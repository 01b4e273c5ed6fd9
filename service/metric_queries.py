"""Curves of metrics over steps, updates, tokens or time, thinned to what can be drawn."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.argument_checks import check_count, check_range
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.catalog import Metric
from service.jobs.metric_queries import MetricQuery, MetricSeries, MetricSeriesSet, MetricX
from service.statistics.downsampling import min_max_points
from service.storage.metric_chunks import AT, STEP, Values, is_recorded
from service.storage.metric_reads import MetricColumns
from service.storage.result_store import ResultStore

MAX_JOBS = 50
MAX_KEYS = 50
MIN_POINTS = 2
MAX_POINTS = 5000
MAX_POINTS_IN_ALL = 250_000

# What each is made of, beside the columns that are always read.
COLUMNS_OF_X = {
    MetricX.STEP: (),
    MetricX.UPDATE: (),
    MetricX.TOKENS: (Metric.TOTAL_TOKENS.value,),
    MetricX.WALL_TIME: (AT,),
}


def query_metrics(query: MetricQuery, *, result_store: ResultStore) -> MetricSeriesSet:
    """A job or a key that is named twice is read once. Raises INVALID_ARGUMENT and JOB_NOT_FOUND."""
    job_ids, keys = list(dict.fromkeys(query.job_ids)), list(dict.fromkeys(query.keys))
    _check_size(query, num_series=len(job_ids) * len(keys))
    check_metric_names("key", keys)
    _check_x_range(query)
    # Job by job: the columns of one may be many megabytes.
    return MetricSeriesSet(
        x=query.x,
        series=tuple(
            series
            for job_id in job_ids
            for series in _series_of_job(job_id, keys, query=query, result_store=result_store)
        ),
    )


def check_metric_names(field: str, names: Sequence[str]) -> None:
    """Raises INVALID_ARGUMENT for a name that is not in the catalogue."""
    for name in names:
        if name not in set(Metric):
            raise DriftgateError(
                ErrorCode.INVALID_ARGUMENT,
                f"There is no metric {name[:100]!r}. The catalogue names those there are.",
                [Violation(field, name[:100], ", ".join(Metric))],
            )


def _series_of_job(
    job_id: str, keys: Sequence[str], *, query: MetricQuery, result_store: ResultStore
) -> list[MetricSeries]:
    columns = result_store.metric_columns(job_id, names=[*keys, *COLUMNS_OF_X[query.x]])
    x = _x_values(query.x, columns)
    in_range = np.isfinite(x)
    if query.x_from is not None:
        in_range &= x >= query.x_from
    if query.x_to is not None:
        in_range &= x <= query.x_to
    return [
        _series(columns, key, x=x, in_range=in_range, max_points=query.max_points) for key in keys
    ]


def _x_values(x: MetricX, columns: MetricColumns) -> Values:
    """Not finite where it was not recorded."""
    match x:
        case MetricX.STEP:
            return columns.by_name[STEP]
        case MetricX.UPDATE:
            return columns.update.astype(np.float64)
        case MetricX.TOKENS:
            return columns.by_name[Metric.TOTAL_TOKENS]
        case MetricX.WALL_TIME:
            return columns.by_name[AT] - columns.started_at_s


def _series(
    columns: MetricColumns, key: str, *, x: Values, in_range: NDArray[np.bool_], max_points: int
) -> MetricSeries:
    values = columns.by_name[key]
    places = np.flatnonzero(in_range & is_recorded(values))
    kept = places[min_max_points(values[places], max_points=max_points)]
    return MetricSeries(
        job_id=columns.job_id,
        key=key,
        num_points=len(places),
        x=tuple(x[kept].tolist()),
        value=tuple(values[kept].tolist()),
        update=tuple(columns.update[kept].tolist()),
        attempt=tuple(columns.attempt[kept].tolist()),
    )


def _check_size(query: MetricQuery, *, num_series: int) -> None:
    check_count("job_id", query.job_ids, low=1, high=MAX_JOBS, what="ids of jobs")
    check_count("key", query.keys, low=1, high=MAX_KEYS, what="names of metrics")
    check_range("max_points", query.max_points, low=MIN_POINTS, high=MAX_POINTS)
    num_points = num_series * query.max_points
    if num_points > MAX_POINTS_IN_ALL:
        allowed = f"at most {MAX_POINTS_IN_ALL // num_series} for {num_series} series"
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"{num_series} series of {query.max_points} points are {num_points}; one answer has at most "
            f"{MAX_POINTS_IN_ALL}. Ask for fewer points, jobs or keys.",
            [Violation("max_points", str(query.max_points), allowed)],
        )


def _check_x_range(query: MetricQuery) -> None:
    ends = {"x_from": query.x_from, "x_to": query.x_to}
    for field, value in ends.items():
        if value is not None and not math.isfinite(value):
            raise DriftgateError(
                ErrorCode.INVALID_ARGUMENT,
                f"{field} is {value}, but must be a finite number; leave it out for no end.",
                [Violation(field, str(value), "a finite number")],
            )
    if query.x_from is not None and query.x_to is not None and query.x_from > query.x_to:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"x_from is {query.x_from:g}, which is beyond x_to, {query.x_to:g}.",
            [Violation("x_from", f"{query.x_from:g}", f"at most x_to, {query.x_to:g}")],
        )
