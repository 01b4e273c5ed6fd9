"""The evaluation of a job: benchmarks, samples, and what they are drawn from."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypedDict

from pydantic import ConfigDict, Field, StrictBool, StringConstraints, model_validator

from service.jobs.problem_sources import PUBLISHED_BENCHMARKS, ProblemSource, PromptFormat
from service.jobs.spec_fields import MAX_TOKENS, Seed, SpecPart
from service.jobs.text_patterns import BENCHMARK_NAME


def _problems_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name != "problems"]


class BenchmarkSpec(SpecPart):
    """One benchmark: its problems and the name its results carry."""

    model_config = ConfigDict(json_schema_extra=_problems_may_be_left_out)

    name: Annotated[str, StringConstraints(pattern=BENCHMARK_NAME)]
    problems: ProblemSource = Field(
        description="May be left out where `name` is a published benchmark: aime24, aime25, math500, "
        "amc23. Under such a name no other problems are taken."
    )
    format: PromptFormat = PromptFormat()
    samples_per_problem: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None, description="n of this benchmark; that of the evaluation where null."
    )

    @model_validator(mode="before")
    @classmethod
    def _find_problems_by_name(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "problems" in data:
            return data
        name = data.get("name")
        is_published = isinstance(name, str) and name in PUBLISHED_BENCHMARKS
        return data | {"problems": {"source": "published", "name": name}} if is_published else data


class SamplingProfile(StrEnum):
    """Ways to sample that results name, so that a number says what it is a number of."""

    POLICY = "policy"
    PAPER = "paper"
    QWEN3_THINK = "qwen3-think"
    QWEN3_NOTHINK = "qwen3-nothink"
    CUSTOM = "custom"


class SamplingValues(TypedDict):
    """What a profile stands for."""

    temperature: float
    top_p: float
    top_k: int | None
    max_response_tokens: int


# `policy` samples what training optimises, `paper` as arXiv 2606.24084 does, the others as Qwen3's model
# cards ask for.
SAMPLING_PROFILES: Mapping[str, SamplingValues] = {
    SamplingProfile.POLICY: SamplingValues(
        temperature=1.0, top_p=1.0, top_k=None, max_response_tokens=16_384
    ),
    SamplingProfile.PAPER: SamplingValues(
        temperature=1.0, top_p=0.9, top_k=None, max_response_tokens=16_384
    ),
    SamplingProfile.QWEN3_THINK: SamplingValues(
        temperature=0.6, top_p=0.95, top_k=20, max_response_tokens=38_912
    ),
    SamplingProfile.QWEN3_NOTHINK: SamplingValues(
        temperature=0.7, top_p=0.8, top_k=20, max_response_tokens=16_384
    ),
    SamplingProfile.CUSTOM: SamplingValues(
        temperature=1.0, top_p=1.0, top_k=None, max_response_tokens=16_384
    ),
}


DISTRIBUTION_FIELDS = frozenset({"temperature", "top_p", "top_k"})


class DuringTrainingSpec(SpecPart):
    """pass@k of the student while it trains: a fixed subset, the same sample seeds every time."""

    every_steps: int = Field(ge=1, le=1_000_000)
    max_problems: int = Field(
        default=50,
        ge=1,
        le=100_000,
        description="Problems of each benchmark, chosen by a hash of their text.",
    )


class EvaluationSpec(SpecPart):
    """pass@k of the student before and after training, and of the teacher on request."""

    benchmarks: tuple[BenchmarkSpec, ...] = Field(default=(), max_length=20, fail_fast=True)
    samples_per_problem: int = Field(default=8, ge=1, le=4096, description="n")
    k: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(1, 8),
        min_length=1,
        max_length=16,
        fail_fast=True,
        description="pass@k is reported for each.",
    )
    profile: SamplingProfile = Field(
        default=SamplingProfile.PAPER,
        description="What is sampled from. `custom` where temperature, top_p or top_k is given "
        "without a profile.",
    )
    temperature: float = Field(default=1.0, gt=0, le=10)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Most likely tokens that are kept; all where null."
    )
    max_response_tokens: int = Field(
        default=16_384, ge=1, le=MAX_TOKENS, description="The profile's unless given."
    )
    evaluate_teacher: StrictBool = False
    during_training: DuringTrainingSpec | None = None
    reverse_kl_problems: int = Field(
        default=32,
        ge=0,
        le=100_000,
        description="Of a distillation: problems of each benchmark, chosen by a hash of their text, on one fresh "
        "response to each of which the student's reverse KL to the teacher is measured before and after training; "
        "0: it is not measured.",
    )
    seed: Seed = Field(
        default=0, description="Seed of the samples, apart from the job's, so that jobs pair."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_profile(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = data.get("profile")
        if given is None:
            is_custom = not DISTRIBUTION_FIELDS.isdisjoint(data)
            given = SamplingProfile.CUSTOM if is_custom else SamplingProfile.PAPER
        values = SAMPLING_PROFILES.get(given) if isinstance(given, str) else None
        return dict(values or {}) | data | {"profile": given}

    @model_validator(mode="after")
    def _check_profile(self) -> "EvaluationSpec":
        values: Mapping[str, object] = SAMPLING_PROFILES[self.profile]
        for name in sorted(DISTRIBUTION_FIELDS):
            if self.profile is not SamplingProfile.CUSTOM and getattr(self, name) != values[name]:
                given, own = json.dumps(getattr(self, name)), json.dumps(values[name])
                raise ValueError(
                    f"{name} is {given}, but profile {self.profile} has {own}; leave it out, or set profile to custom"
                )
        return self

    @model_validator(mode="after")
    def _check_samples(self) -> "EvaluationSpec":
        largest = max(self.k)
        numbers = {"samples_per_problem": self.samples_per_problem} | {
            f"benchmarks.{index}.samples_per_problem": benchmark.samples_per_problem
            for index, benchmark in enumerate(self.benchmarks)
            if benchmark.samples_per_problem is not None
        }
        for field, number in numbers.items():
            if number < largest:
                raise ValueError(
                    f"{field} is {number}, but pass@{largest} needs at least {largest} samples "
                    "per problem"
                )
        names = [benchmark.name for benchmark in self.benchmarks]
        if len(set(names)) < len(names):
            raise ValueError(f"benchmarks is {' and '.join(names)}, but names must differ")
        return self

    @model_validator(mode="after")
    def _check_thinking(self) -> "EvaluationSpec":
        of_profile = self.enable_thinking
        for index, benchmark in enumerate(self.benchmarks):
            given = benchmark.format.enable_thinking
            if of_profile is not None and given not in (None, of_profile):
                raise ValueError(
                    f"benchmarks.{index}.format.enable_thinking is {json.dumps(given)}, but profile {self.profile} "
                    f"has {json.dumps(of_profile)}; leave it out, or choose another profile"
                )
        return self

    @property
    def enable_thinking(self) -> bool | None:
        """What chat templates of models that can think are told; None where the profile says nothing."""
        return {SamplingProfile.QWEN3_THINK: True, SamplingProfile.QWEN3_NOTHINK: False}.get(
            self.profile
        )

    def samples_of(self, benchmark: BenchmarkSpec) -> int:
        """n of one of the benchmarks."""
        return benchmark.samples_per_problem or self.samples_per_problem
