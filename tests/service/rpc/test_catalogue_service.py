from service.jobs.catalog import Metric
from service.jobs.catalogues import BenchmarkCatalogue, ModelCatalogue
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import catalogue_pb2 as pb


def test_every_metric_is_described(stubs):
    metrics = stubs.catalogue.ListMetrics(pb.ListMetricsRequest()).metrics

    assert [metric.name for metric in metrics] == [metric.value for metric in Metric]
    assert all(metric.unit and metric.meaning for metric in metrics)


def test_the_presets_are_those_of_rest(stubs, rest):
    presets = stubs.catalogue.ListPresets(pb.ListPresetsRequest()).presets

    by_rest = rest.get("/v1/presets").json()
    assert [(each.name, each.description) for each in presets] == [
        (each["name"], each["description"]) for each in by_rest
    ]
    assert [each.spec.gate.block_size for each in presets] == [
        each["spec"]["gate"]["block_size"] for each in by_rest
    ]


def test_models_and_benchmarks_are_those_of_rest(stubs, rest):
    models = stubs.catalogue.ListModels(pb.ListModelsRequest())
    by_rest = ModelCatalogue.model_validate_json(rest.get("/v1/models").content)
    assert models == view_message(pb.ListModelsResponse, by_rest)
    assert models.models[0].origin == pb.MODEL_ORIGIN_BUILTIN

    benchmarks = stubs.catalogue.ListBenchmarks(pb.ListBenchmarksRequest())
    by_rest = BenchmarkCatalogue.model_validate_json(rest.get("/v1/benchmarks").content)
    assert benchmarks == view_message(pb.ListBenchmarksResponse, by_rest)
    assert "math500" in [each.name for each in benchmarks.benchmarks]
