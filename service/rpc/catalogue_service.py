"""CatalogueService: what there is to measure and to begin with."""

from service.jobs.access import Caller
from service.jobs.catalog import Metric
from service.jobs.presets import published_presets
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import catalogue_pb2 as pb


class CatalogueService:
    """The same catalogues that REST has."""

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
