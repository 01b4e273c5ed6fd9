import math
from datetime import UTC, datetime

import pytest

from service.jobs.catalog import Metric
from service.jobs.metric_queries import LatestMetrics, MetricSeriesSet
from service.jobs.records import BlockDrift, UpdateRecord
from service.jobs.results import DriftMap, JobMetrics
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.fixture
def database(settings):
    database = Database(settings.resolved_database_url())
    yield database
    database.close()


@pytest.fixture
def job_id(api, spec, database):
    """A job with the losses 0.5, NaN and −∞ at the updates 1 to 3, one a step."""
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    lease = JobStore(database).claim(queue="default", owner="worker", lease_s=60).lease
    drift = BlockDrift(num_tokens=16, mean_drift_nats=math.nan, mean_abs_drift_nats=math.inf)
    ResultStore(database).append_updates(
        lease,
        [
            UpdateRecord(update, update, {Metric.LOSS: loss}, (drift,), AT)
            for update, loss in ((1, 0.5), (2, math.nan), (3, -math.inf))
        ],
    )
    return job_id


def test_curves_are_answered_in_columns(api, job_id):
    answer = api.get("/v1/metrics:query", params={"job_id": job_id, "key": "train/loss"})
    assert answer.status_code == 200
    assert answer.json() == {
        "x": "step",
        "series": [
            {
                "job_id": job_id,
                "key": "train/loss",
                "num_points": 3,
                "x": [1.0, 2.0, 3.0],
                "value": [0.5, "NaN", "-Infinity"],
                "update": [1, 2, 3],
                "attempt": [1, 1, 1],
            }
        ],
    }
    (series,) = MetricSeriesSet.model_validate_json(answer.content).series
    assert math.isnan(series.value[1])
    assert series.value[2] == -math.inf


def test_every_parameter_reaches_the_query(api, job_id):
    parameters = {
        "job_id": [job_id],
        "key": ["train/loss", "gate/std"],
        "x": "update",
        "max_points": 2,
        "x_from": 2,
        "x_to": 2.5,
    }
    answer = api.get("/v1/metrics:query", params=parameters).json()
    assert answer["x"] == "update"
    assert [(one["key"], one["update"]) for one in answer["series"]] == [
        ("train/loss", [2]),
        ("gate/std", []),
    ]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"key": []}, 400, "INVALID_ARGUMENT"),
        ({"key": ["train/los"]}, 400, "INVALID_ARGUMENT"),
        ({"key": ["train/loss\0"]}, 400, "INVALID_ARGUMENT"),
        ({"job_id": ["0" * 32] * 51}, 400, "INVALID_ARGUMENT"),
        ({"x": "time"}, 400, "INVALID_ARGUMENT"),
        ({"max_points": 1}, 400, "INVALID_ARGUMENT"),
        ({"x_from": "nan"}, 400, "INVALID_ARGUMENT"),
        ({"x_to": "inf"}, 400, "INVALID_ARGUMENT"),
        ({"x_from": 3, "x_to": 2}, 400, "INVALID_ARGUMENT"),
        ({"job_id": ["f" * 32]}, 404, "JOB_NOT_FOUND"),
        ({"job_id": ["a\0"]}, 404, "JOB_NOT_FOUND"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(api, job_id, changes, status, code):
    parameters = {"job_id": [job_id], "key": ["train/loss"]} | changes
    answer = api.get("/v1/metrics:query", params=parameters)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_newest_values_are_answered_by_name(api, job_id):
    answer = api.get(f"/v1/jobs/{job_id}/metrics:latest")
    assert answer.json() == {
        "job_id": job_id,
        "metrics": {
            "train/loss": {
                "value": "-Infinity",
                "update": 3,
                "step": 3,
                "attempt": 1,
                "at": "2026-01-05T10:00:00Z",
            }
        },
    }
    latest = LatestMetrics.model_validate_json(answer.content)
    assert latest.metrics["train/loss"].value == -math.inf
    missing = api.get(f"/v1/jobs/{'f' * 32}/metrics:latest")
    assert (missing.status_code, missing.json()["code"]) == (404, "JOB_NOT_FOUND")


def test_what_is_not_finite_is_a_string_in_the_answer_and_a_number_once_it_is_read(api, job_id):
    metrics = api.get(f"/v1/jobs/{job_id}/metrics")
    assert metrics.json()["columns"] == {"train/loss": [0.5, "NaN", "-Infinity"]}
    losses = JobMetrics.model_validate_json(metrics.content).columns["train/loss"]
    drift_map = DriftMap.model_validate_json(api.get(f"/v1/jobs/{job_id}/drift-map").content)
    assert math.isnan(losses[1])
    assert losses[2] == -math.inf
    assert math.isnan(drift_map.mean_drift_nats[0][0])
    assert drift_map.mean_abs_drift_nats[0] == (math.inf,)


def test_the_description_says_that_values_may_be_strings(api):
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    value = schemas["MetricSeries"]["properties"]["value"]["items"]
    assert {"enum": ["NaN", "Infinity", "-Infinity"], "type": "string"} in value["anyOf"]
