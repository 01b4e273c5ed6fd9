"""CatalogueService: what a client can choose from: metrics, presets, models, benchmarks."""

from service.jobs.access import Caller
from service.jobs.catalog import Metric
from service.jobs.presets import published_presets
from service.operations import Operations
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import catalogue_pb2 as pb


class CatalogueService:
    """The same catalogues that REST has."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def ListMetrics(
        self, _request: pb.ListMetricsRequest, _caller: Caller
    ) -> pb.ListMetricsResponse:
        return pb.ListMetricsResponse(
            metrics=[
                pb.MetricDescription(name=metric.value, unit=metric.unit, meaning=metric.meaning)
                for metric in Metric
            ]
        )

    def ListPresets(
        self, _request: pb.ListPresetsRequest, _caller: Caller
    ) -> pb.ListPresetsResponse:
        return pb.ListPresetsResponse(
            presets=[view_message(pb.Preset, preset) for preset in published_presets()]
        )

    def ListModels(self, _request: pb.ListModelsRequest, _caller: Caller) -> pb.ListModelsResponse:
        return view_message(pb.ListModelsResponse, self._operations.list_models())

    def ListBenchmarks(
        self, _request: pb.ListBenchmarksRequest, _caller: Caller
    ) -> pb.ListBenchmarksResponse:
        return view_message(pb.ListBenchmarksResponse, self._operations.list_benchmarks())
