"""What a client can choose from, as the service lists it."""

from collections.abc import Sequence

from service.client_http import Connection
from service.jobs.catalogues import BenchmarkCatalogue, ModelCatalogue
from service.jobs.presets import Preset
from service.jobs.results import MetricDescription


class CatalogueCalls(Connection):
    """Every call is one read."""

    def metric_catalogue(self) -> Sequence[MetricDescription]:
        """Every metric with its unit and meaning."""
        return self._get_all("v1/metrics", MetricDescription)

    def presets(self) -> Sequence[Preset]:
        """The published settings as ready specs."""
        return self._get_all("v1/presets", Preset)

    def models(self) -> ModelCatalogue:
        """Models that a spec may name."""
        return self._get("v1/models", ModelCatalogue)

    def benchmarks(self) -> BenchmarkCatalogue:
        """Published problem sets that a spec may name."""
        return self._get("v1/benchmarks", BenchmarkCatalogue)
