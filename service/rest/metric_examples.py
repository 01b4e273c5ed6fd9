"""Metrics of a job as the OpenAPI description shows them."""

from service.jobs.metric_queries import LatestMetrics, MetricSeriesSet
from service.jobs.results import DriftMap, JobMetrics
from service.rest.job_examples import EXAMPLE_JOB_ID

EXAMPLE_METRICS = JobMetrics.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "update": [57, 58, 59, 60],
        "step": [29, 29, 30, 30],
        "attempt": [1, 1, 1, 1],
        "columns": {
            "train/loss": [0.2147, 0.2046, 0.2586, 0.2485],
            "gate/std": [0.0, 0.0091, 0.0, 0.0082],
            "rollout/mean_length": [78.9, None, 77.6, None],
        },
    }
)
EXAMPLE_DRIFT_MAP = DriftMap.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "block_size": 16,
        "update": [30, 60],
        "mean_drift_nats": [
            [-0.0020, -0.0007, -0.0043, -0.0023, -0.0021, -0.0094, -0.0031],
            [0.0006, -0.0025, -0.0007, -0.0011, 0.0016, 0.0041, None],
        ],
        "mean_abs_drift_nats": [
            [0.0069, 0.0103, 0.0123, 0.0105, 0.0108, 0.0168, 0.0031],
            [0.0047, 0.0083, 0.0101, 0.0057, 0.0088, 0.0166, None],
        ],
        "num_tokens": [
            [1024, 1024, 1024, 1024, 712, 267, 4],
            [1015, 1008, 1008, 992, 714, 232, 0],
        ],
    }
)
EXAMPLE_SERIES = MetricSeriesSet.model_validate(
    {
        "x": "step",
        "series": [
            {
                "job_id": EXAMPLE_JOB_ID,
                "key": "train/loss",
                "num_points": 60,
                "x": [1.0, 1.0, 15.0, 29.0, 30.0],
                "value": [0.4096, "NaN", 0.3665, 0.2046, 0.2485],
                "update": [1, 2, 29, 58, 60],
                "attempt": [1, 1, 1, 1, 1],
            }
        ],
    }
)
EXAMPLE_LATEST = LatestMetrics.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "metrics": {
            "train/loss": {
                "value": 0.2485,
                "update": 60,
                "step": 30,
                "attempt": 1,
                "at": "2026-01-05T10:00:26Z",
            },
            "rollout/mean_length": {
                "value": 77.6,
                "update": 59,
                "step": 30,
                "attempt": 1,
                "at": "2026-01-05T10:00:25Z",
            },
        },
    }
)
