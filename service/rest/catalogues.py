"""What a client can choose from: metrics, presets, models, benchmarks."""

from fastapi import APIRouter, Response

from service.jobs.catalog import Metric
from service.jobs.catalogues import BenchmarkCatalogue, ModelCatalogue
from service.jobs.presets import Preset, published_presets
from service.jobs.results import MetricDescription
from service.rest.answers import json_response
from service.rest.json_examples import json_example
from service.rest.parameters import FromApp, problem

EXAMPLE_MODELS = ModelCatalogue.model_validate(
    {
        "models": [
            {
                "model": "builtin/arithmetic-student",
                "origin": "builtin",
                "num_parameters": 100_544,
                "vocab_size": 45,
                "max_positions": 32_768,
                "problem": None,
            }
        ],
        "hub_allow": ["Qwen/*"],
    }
)
EXAMPLE_BENCHMARKS = BenchmarkCatalogue.model_validate(
    {
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
)

router = APIRouter(
    prefix="/v1", tags=["catalogues"], responses={"default": problem("Any other error.")}
)


def _described(metric: Metric) -> MetricDescription:
    return MetricDescription(name=metric.value, unit=metric.unit, meaning=metric.meaning)


@router.get(
    "/metrics",
    summary="Every metric with its unit and meaning",
    responses={200: json_example([_described(Metric.LOSS)])},
)
def list_metrics() -> list[MetricDescription]:
    """The names that metric queries take."""
    return [_described(metric) for metric in Metric]


@router.get(
    "/presets",
    summary="Published settings as ready specs",
    responses={200: json_example(published_presets()[:1])},
)
def list_presets() -> list[Preset]:
    """The six published variants by name. Each description says what has to be supplied."""
    return list(published_presets())


@router.get(
    "/models",
    response_model=ModelCatalogue,
    summary="Models that a spec may name",
    responses={200: json_example(EXAMPLE_MODELS)},
)
def list_models(operations: FromApp) -> Response:
    """Built in and below the model root, with their sizes; and the patterns of allowed hub ids."""
    return json_response(operations.list_models())


@router.get(
    "/benchmarks",
    response_model=BenchmarkCatalogue,
    summary="Published problem sets that a spec may name",
    responses={200: json_example(EXAMPLE_BENCHMARKS)},
)
def list_benchmarks(operations: FromApp) -> Response:
    """With where their problems come from on this server, and how their text is verified."""
    return json_response(operations.list_benchmarks())
