"""Metrics that are measured on the machine: no two runs have the same."""

from service.jobs.catalog import Metric

MEASURED_ON_THE_MACHINE = {
    metric
    for metric in Metric
    if metric.unit in {"s", "bytes", "tokens/s"} or metric.endswith("/mfu")
}
