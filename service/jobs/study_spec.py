"""The spec of a study: arms × seeds of one base spec, and what they are to decide, said before anything runs."""

from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    field_validator,
    model_validator,
)

from service.jobs.spec import JobSpec
from service.jobs.spec_fields import MAX_LABELS, Name, Seed, SpecPart
from service.jobs.study_arms import arm_presets, plain_changes, with_changes
from service.jobs.text_patterns import ARM_NAME, STUDY_METRIC

MIN_SEEDS = 3
MAX_SEEDS = 64
MAX_ARMS = 32
MAX_RUNS = 1000
# The labels of a study's jobs, beside those of the base.
STUDY_LABEL, ARM_LABEL, SEED_LABEL = "study/id", "study/arm", "study/seed"
NUM_STUDY_LABELS = 3
REVERSE_KL = "reverse_kl"
# Arms are compared on one evaluation, and the rest is the study's own business.
FIELDS_OF_THE_STUDY = ("kind", "name", "labels", "priority", "seed", "evaluation")

ArmName = Annotated[str, StringConstraints(pattern=ARM_NAME)]
StudyMetric = Annotated[str, StringConstraints(pattern=STUDY_METRIC)]


def _name_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name != "name"]


class ArmSpec(SpecPart):
    """One way to train: what it changes of the base spec."""

    model_config = ConfigDict(json_schema_extra=_name_may_be_left_out)

    name: ArmName = Field(description="The preset's where it is left out.")
    preset: ArmName | None = Field(
        default=None,
        description="Of `GET /v1/study-presets`; `changes` are put over it.",
        examples=["no-clip"],
    )
    changes: dict[str, Any] = Field(
        default_factory=dict,
        max_length=200,
        description="Put over the base spec object by object, as a JSON merge patch; but null is a value, and an "
        "object of another `type` or `source` replaces the whole. Once stored it includes the preset's.",
        examples=[{"gate": {"granularity": "none"}}],
    )

    @model_validator(mode="before")
    @classmethod
    def _name_by_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("preset"), str):
            return data
        return {"name": data["preset"]} | data

    @field_validator("changes")
    @classmethod
    def _check_changes(cls, changes: dict[str, Any]) -> dict[str, Any]:
        fixed = [name for name in FIELDS_OF_THE_STUDY if name in changes]
        if fixed:
            raise ValueError(
                f"fields other than {', '.join(fixed)}: all arms are evaluated alike, and the study names, labels "
                "and seeds its jobs"
            )
        plain: dict[str, Any] = plain_changes(changes)
        return plain

    @model_validator(mode="after")
    def _take_over_the_preset(self) -> "ArmSpec":
        if self.preset is not None:
            known = {preset.name: preset for preset in arm_presets()}
            if self.preset not in known:
                raise ValueError(f"preset is {self.preset}, but one of {', '.join(known)}")
            merged = with_changes(known[self.preset].changes, self.changes)
            # Frozen for its readers, and this is its making.
            object.__setattr__(self, "changes", merged)
        return self


class ContrastSpec(SpecPart):
    """The one comparison that the study is made for; all others are exploratory."""

    arm: ArmName
    minus: ArmName | None = Field(default=None, description="The baseline arm where null.")
    metric: StudyMetric = Field(
        default="pass@8",
        description="`pass@K` of a K that is evaluated, as the mean over benchmarks, or `reverse_kl`, "
        "measured on held-out problems unless `evaluation.reverse_kl_problems` is 0.",
    )


class StudySpec(SpecPart):
    """Every arm is run with every seed: arms × seeds ordinary jobs."""

    name: Name | None = None
    base: JobSpec = Field(description="A distillation; its seed is replaced by those of the study.")
    arms: tuple[ArmSpec, ...] = Field(min_length=2, max_length=MAX_ARMS, fail_fast=True)
    seeds: tuple[Seed, ...] = Field(
        max_length=MAX_SEEDS,
        fail_fast=True,
        description="At least 3, all different. To find a difference at 5 % takes at least 6.",
    )
    baseline: ArmName = Field(description="The arm that the others are compared with.")
    contrast: ContrastSpec
    max_active_jobs: int = Field(
        default=2, ge=1, le=256, description="Jobs of the study that wait or run at any time."
    )
    stop_when_arm_collapses: StrictBool = Field(
        default=False,
        description="Cancel what has not ended once more than half of the seeds of one arm have collapsed.",
    )
    collapse_below: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="A run has collapsed where its pass@1 after training is below this share of what it was before, "
        "by more than two standard errors of its samples, or where its loss was not finite.",
    )
    budget_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = Field(
        default=None,
        description="Refuse the study where its jobs may take more by their plans, prompts included; null: any.",
    )
    smallest_difference: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="Of pass@k, that the study should find: plan and verdict say how many seeds that takes.",
    )
    assumed_seed_sd: float = Field(
        default=0.03,
        gt=0,
        lt=1,
        description="For the plan: standard deviation of pass@k between runs of one arm that differ in their seed, "
        "samples included. On the built-in task it was 0.02 to 0.04.",
    )

    @property
    def metrics(self) -> tuple[str, ...]:
        """What the arms are compared by."""
        evaluation = self.base.evaluation
        distance = (REVERSE_KL,) if evaluation.reverse_kl_problems else ()
        return (*(f"pass@{k}" for k in evaluation.k), *distance)

    @property
    def contrast_minus(self) -> str:
        """The arm that the contrast subtracts."""
        return self.contrast.minus or self.baseline

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(seeds) == 1:
            raise ValueError("a study of one seed has no seed variance; at least 3")
        if len(seeds) < MIN_SEEDS:
            raise ValueError(f"at least {MIN_SEEDS} seeds, not {len(seeds)}")
        if len(set(seeds)) < len(seeds):
            raise ValueError("seeds that differ")
        return seeds

    @model_validator(mode="after")
    def _check_arms(self) -> "StudySpec":
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"arms is {' and '.join(names)}, but names must differ")
        known = f"one of the arms: {', '.join(names)}"
        for field, name in (
            ("baseline", self.baseline),
            ("contrast.arm", self.contrast.arm),
            ("contrast.minus", self.contrast_minus),
        ):
            if name not in names:
                raise ValueError(f"{field} is {name}, but {known}")
        if self.contrast.arm == self.contrast_minus:
            raise ValueError(
                f"contrast.arm is {self.contrast.arm}, but another arm than it is compared with"
            )
        return self

    @model_validator(mode="after")
    def _check_size(self) -> "StudySpec":
        num_runs = len(self.arms) * len(self.seeds)
        if num_runs > MAX_RUNS:
            raise ValueError(
                f"arms is {len(self.arms)} arms × {len(self.seeds)} seeds = {num_runs} jobs, but at most {MAX_RUNS}"
            )
        return self

    @model_validator(mode="after")
    def _check_base(self) -> "StudySpec":
        if not self.base.evaluation.benchmarks:
            raise ValueError("base.evaluation.benchmarks is empty, but arms are compared by pass@k")
        if self.contrast.metric not in self.metrics:
            raise ValueError(
                f"contrast.metric is {self.contrast.metric}, but one of what is measured: {', '.join(self.metrics)}"
            )
        num_labels = len(self.base.labels)
        if num_labels > MAX_LABELS - NUM_STUDY_LABELS:
            raise ValueError(
                f"base.labels is {num_labels} labels, but at most {MAX_LABELS - NUM_STUDY_LABELS}: a study adds its own"
            )
        return self
