"""Metrics of a job: asked for in one request, shown as a table or as CSV."""

import csv
import sys
from collections.abc import Iterable
from difflib import SequenceMatcher

from rich.table import Table

from service.client import Client
from service.errors import DriftgateError, ErrorCode, Violation
from service.job_commands.display import table
from service.jobs.metric_queries import MetricSeriesSet, MetricX
from service.jobs.results import Job

CSV_COLUMNS = ("key", "x", "value", "update", "attempt")
MAX_NAMES_SHOWN = 5


def metric_series(
    client: Client, job: Job, *, keys: Iterable[str], x: str, max_points: int
) -> MetricSeriesSet:
    """The series of the keys, or of all metrics that the job has recorded, by name.

    Raises INVALID_ARGUMENT for a key that is no metric, naming those that the job has recorded.
    """
    wanted = list(keys) or sorted(client.latest_metrics(job.id).metrics)
    if not wanted:
        raise DriftgateError(
            ErrorCode.RESOURCE_NOT_FOUND, f"Job {job.id} has recorded no metric yet."
        )
    try:
        return client.metrics_query([job.id], wanted, x=MetricX(x), max_points=max_points)
    except DriftgateError as refusal:
        for violation in refusal.violations:
            if violation.field == "key" and violation.given in wanted:
                recorded = client.latest_metrics(job.id).metrics
                raise _no_metric(violation.given, job=job, recorded=recorded) from refusal
        raise


def metrics_table(series_set: MetricSeriesSet) -> Table:
    """A line for each update of any series; thinning may leave others in each."""
    keys = [series.key for series in series_set.series]
    x_by_update: dict[int, float] = {}
    values: dict[tuple[int, str], float] = {}
    for series in series_set.series:
        for update, x, value in zip(series.update, series.x, series.value, strict=True):
            x_by_update[update] = x
            values[update, series.key] = value
    x_columns = ("update",) if series_set.x is MetricX.UPDATE else ("update", series_set.x.value)
    lines = table(*x_columns, *keys, right=(*x_columns, *keys))
    for update, x in sorted(x_by_update.items()):
        places = (f"{update:,}", f"{x:,.10g}")[: len(x_columns)]
        numbers = (values.get((update, key)) for key in keys)
        lines.add_row(*places, *("" if number is None else f"{number:.4g}" for number in numbers))
    return lines


def print_csv(series_set: MetricSeriesSet) -> None:
    """A line a point; values that are not finite are `nan`, `inf` and `-inf`."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for series in series_set.series:
        points = zip(series.x, series.value, series.update, series.attempt, strict=True)
        writer.writerows((series.key, *point) for point in points)


def _no_metric(key: str, *, job: Job, recorded: Iterable[str]) -> DriftgateError:
    names = sorted(recorded, key=lambda name: (-_likeness(key, name), name))
    named, num_others = names[:MAX_NAMES_SHOWN], len(names) - MAX_NAMES_SHOWN
    others = f" and {num_others} other{'s' if num_others > 1 else ''}" if num_others > 0 else ""
    has_recorded = f"{', '.join(named)}{others}" if named else "no metric yet"
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"There is no metric {key!r}. Job {job.id} has recorded {has_recorded}.",
        [Violation("--key", key, ", ".join(named) or "a metric of the catalogue")],
    )


def _likeness(key: str, name: str) -> float:
    """From 0 to 1, by the whole name or without its group: `loss` is nearer to `train/loss` than to `gate/ess`."""
    parts = (name, name.rpartition("/")[2])
    return max(SequenceMatcher(None, key, part).ratio() for part in parts)
