"""What a spec may name on this server: its models and the published problem sets."""

from collections.abc import Iterator

from service.errors import DriftgateError
from service.jobs.catalogues import (
    BenchmarkCatalogue,
    BenchmarkDescription,
    ModelCatalogue,
    ModelDescription,
    ModelOrigin,
    ProblemSetOrigin,
)
from service.jobs.problem_sources import PUBLISHED_BENCHMARKS, PublishedSet
from service.jobs.spec_fields import ModelSpec
from service.preflight.architecture import UnknownArchitecture
from service.preflight.checks import model_facts
from service.preflight.gguf_header import GGUF_SUFFIX
from service.preflight.models import builtin_model_names
from service.preflight.published import has_local_copy
from service.preflight.published_catalogue import PUBLICATIONS
from service.settings import Settings

MAX_LOCAL_MODELS = 1000


def list_models(settings: Settings) -> ModelCatalogue:
    """Built-in models, and folders and GGUF files directly below the model root; of the hub only what is allowed."""
    references = [(name, ModelOrigin.BUILTIN) for name in builtin_model_names()]
    references += [(name, ModelOrigin.LOCAL) for name in _local_names(settings)]
    return ModelCatalogue(
        models=tuple(_described(name, origin, settings) for name, origin in references),
        hub_allow=settings.hub_allow,
    )


def list_benchmarks(settings: Settings) -> BenchmarkCatalogue:
    """All published sets, in the order of the contract."""
    return BenchmarkCatalogue(
        benchmarks=tuple(
            BenchmarkDescription(
                name=name,
                title=PUBLICATIONS[name].title,
                num_problems=PUBLICATIONS[name].num_problems,
                is_benchmark=name in PUBLISHED_BENCHMARKS,
                verification=PUBLICATIONS[name].verification,
                origin=_origin(name, settings),
            )
            for name in PublishedSet
        )
    )


def _local_names(settings: Settings) -> Iterator[str]:
    root = settings.resolved_model_root()
    if not root.is_dir():
        return
    # A folder with neither is no model but, for instance, an organisation of several.
    folders = sorted(
        path
        for path in root.iterdir()
        if path.suffix == GGUF_SUFFIX
        or (path / "config.json").is_file()
        or any(path.glob(f"*{GGUF_SUFFIX}"))
    )
    for folder in folders[:MAX_LOCAL_MODELS]:
        if folder.name.isprintable():
            yield folder.name


def _described(name: str, origin: ModelOrigin, settings: Settings) -> ModelDescription:
    try:
        facts = model_facts(ModelSpec(model=name), settings=settings, field="model")
    except DriftgateError as refusal:
        return ModelDescription(
            model=name,
            origin=origin,
            num_parameters=None,
            vocab_size=None,
            max_positions=None,
            problem=refusal.message,
        )
    assert facts is not None, "a folder on this machine needs no secret"
    shapes = facts.architecture
    return ModelDescription(
        model=name,
        origin=origin,
        num_parameters=None
        if isinstance(shapes, UnknownArchitecture)
        else shapes.parameter_counts().total,
        vocab_size=facts.vocab_size,
        max_positions=facts.max_positions,
        problem=None,
    )


def _origin(name: PublishedSet, settings: Settings) -> ProblemSetOrigin:
    if has_local_copy(name, settings=settings):
        return ProblemSetOrigin.FOLDER
    return ProblemSetOrigin.HUB if PUBLICATIONS[name].hub_file else ProblemSetOrigin.NOWHERE
