"""Curves of metrics: what can be asked for, and the answer in columns."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field

from service.jobs.results import MetricValue, View

DEFAULT_MAX_POINTS = 400


class MetricX(StrEnum):
    """What a curve is drawn over."""

    STEP = "step"
    UPDATE = "update"
    TOKENS = "tokens"
    WALL_TIME = "wall_time"


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One curve for each job and each key. x_from and x_to are both part of the range; None has no end."""

    job_ids: tuple[str, ...]
    keys: tuple[str, ...]
    x: MetricX = MetricX.STEP
    max_points: int = DEFAULT_MAX_POINTS
    x_from: float | None = None
    x_to: float | None = None


class MetricSeries(View):
    """One metric of one job in columns of equal length, in the order of the updates.

    Of the updates that stand: what a resumed attempt computed anew replaces what was there before. Updates at
    which the metric, or what it is drawn over, was not recorded are left out.
    """

    model_config = ConfigDict(ser_json_inf_nan="strings")

    job_id: str
    key: str = Field(description="Metric name of the catalogue.")
    num_points: int = Field(description="Points in the range, before any were left out.")
    x: tuple[float, ...]
    value: tuple[MetricValue, ...]
    update: tuple[int, ...]
    attempt: tuple[int, ...]


class MetricSeriesSet(View):
    """One series for each job and each key, by job and then by key as they were asked for.

    A series of more than `max_points` points is thinned: its first and its last point stay, and what lies
    between them is cut into buckets of equally many points, of which each keeps its least and its largest
    finite value. Where a series has NaN or infinities, each bucket that holds any keeps the first of them
    too; that takes `max_points` of 5 or more.
    """

    x: MetricX = Field(
        description="`tokens`: response tokens sampled so far (train/total_tokens). `wall_time`: seconds "
        "from the job's first claim to the end of the update, pauses included."
    )
    series: tuple[MetricSeries, ...]


class LatestMetric(View):
    """The newest value of a metric, and the update that it is of."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    value: MetricValue
    update: int
    step: int
    attempt: int
    at: datetime | None = Field(
        description="When the update ended; null in jobs of older versions."
    )


class LatestMetrics(View):
    job_id: str
    metrics: dict[str, LatestMetric] = Field(
        description="Keyed by metric name; what was never recorded is not there."
    )
