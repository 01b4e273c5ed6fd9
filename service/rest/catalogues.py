"""What a client can choose from: metrics, presets, models, benchmarks."""

from typing import Any

from fastapi import APIRouter, Response

from service.jobs.catalog import Metric
from service.jobs.catalogues import BenchmarkCatalogue, ModelCatalogue
from service.jobs.presets import Preset, published_presets
from service.jobs.results import MetricDescription
from service.rest.answers import json_response
from service.rest.parameters import FromApp, problem

EXAMPLE_MODELS: dict[str, Any] = {
    "models": [
        {
            "model": "builtin/arithmetic-student",
            "origin": "builtin",
            "num_parameters": 102_816,
            "vocab_size": 48,
            "max_positions": 512,
            "problem": None,
        }
    ],
    "hub_allow": ["Qwen/*"],
}
EXAMPLE_BENCHMARKS: dict[str, Any] = {
    "benchmarks": [
        {
            "name": "math500",
            "title": "MATH500, 500 test problems of MATH",
            "num_problems": 500,
            "is_benchmark": True,
            "verification": "each_problem",
            "origin": "hub",
        }
    ]
}

router = APIRouter(
    prefix="/v1", tags=["catalogues"], responses={"default": problem("Any other error.")}
)


def _example(value: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


@router.get(
    "/metrics",
    summary="Every metric with its unit and meaning",
    responses=_example([{"name": "train/loss", "unit": "nats", "meaning": Metric.LOSS.meaning}]),
)
def list_metrics() -> list[MetricDescription]:
    """The names that metric queries take."""
    return [
        MetricDescription(name=metric.value, unit=metric.unit, meaning=metric.meaning)
        for metric in Metric
    ]


@router.get("/presets", summary="Published settings as ready specs")
def list_presets() -> list[Preset]:
    """The six published variants by name. Each description says what has to be supplied."""
    return list(published_presets())


@router.get(
    "/models",
    response_model=ModelCatalogue,
    summary="Models that a spec may name",
    responses=_example(EXAMPLE_MODELS),
)
def list_models(operations: FromApp) -> Response:
    """Built in and below the model root, with their sizes; and the patterns of allowed hub ids."""
    return json_response(operations.list_models())


@router.get(
    "/benchmarks",
    response_model=BenchmarkCatalogue,
    summary="Published problem sets that a spec may name",
    responses=_example(EXAMPLE_BENCHMARKS),
)
def list_benchmarks(operations: FromApp) -> Response:
    """With where their problems come from on this server, and how their text is verified."""
    return json_response(operations.list_benchmarks())
