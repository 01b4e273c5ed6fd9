"""What a client can choose from: models and benchmarks that a spec may name."""

from enum import StrEnum

from pydantic import Field

from service.jobs.results import View


class ModelOrigin(StrEnum):
    """Where a model lies."""

    BUILTIN = "builtin"
    LOCAL = "local"


class ModelDescription(View):
    """A model that this server can read, under the name by which a spec refers to it."""

    model: str
    origin: ModelOrigin
    num_parameters: int | None = Field(description="null for an architecture not known by name.")
    vocab_size: int | None
    max_positions: int | None = Field(description="null where the config names no limit.")
    problem: str | None = Field(description="Why a job that names it would be refused; else null.")


class ModelCatalogue(View):
    """Built-in models, then the folders of the model root by name."""

    models: tuple[ModelDescription, ...]
    hub_allow: tuple[str, ...] = Field(
        description="Shell patterns of the hub ids that a spec may name besides."
    )


class ProblemSetOrigin(StrEnum):
    """Where the problems of a published set come from on this server."""

    FOLDER = "folder"
    HUB = "hub"
    NOWHERE = "nowhere"


class BenchmarkDescription(View):
    """A published problem set that a spec may name."""

    name: str
    title: str
    num_problems: int
    is_benchmark: bool = Field(description="false of a set that is only trained on.")
    verification: str = Field(description="`each_problem`, `whole_set` or `count`.")
    origin: ProblemSetOrigin = Field(
        description="`folder`: the server's folder of benchmarks; `hub`: fetched when first used; "
        "`nowhere`: the folder has to be given a copy first."
    )


class BenchmarkCatalogue(View):
    benchmarks: tuple[BenchmarkDescription, ...]
