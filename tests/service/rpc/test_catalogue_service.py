from service.jobs.catalog import Metric
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
