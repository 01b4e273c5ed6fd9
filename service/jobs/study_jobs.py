"""A study's spec becomes the specs of its jobs, and what comes from outside a study's spec."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.loss_spec import GateSpec, Granularity
from service.jobs.parsing import invalid_request
from service.jobs.spec import JobSpec
from service.jobs.study_arms import with_changes
from service.jobs.study_spec import ARM_LABEL, SEED_LABEL, STUDY_LABEL, StudySpec

MAX_STUDY_NAME_CHARACTERS = 100
# What makes two arms one although it is written differently.
NO_GATE = GateSpec(granularity=Granularity.NONE)


def parse_study(data: object) -> StudySpec:
    """Raises INVALID_SPEC with one violation per error, up to a hundred."""
    try:
        return StudySpec.model_validate(data)
    except ValidationError as error:
        raise invalid_study(error.errors(include_url=False), data) from None


def invalid_study(errors: Sequence[ErrorDetails], data: object) -> DriftgateError:
    """INVALID_SPEC of what pydantic found in `data`; the message is the first of the violations."""
    refusal = invalid_request(errors, data, model=StudySpec)
    return DriftgateError(ErrorCode.INVALID_SPEC, refusal.message, refusal.violations)


def arm_specs(study: StudySpec) -> dict[str, JobSpec]:
    """What each arm trains, by name, with the base's seed, name and labels.

    Raises INVALID_SPEC where an arm's changes make no spec, and where two arms are the same.
    """
    base = study.base.model_dump(mode="json")
    specs: dict[str, JobSpec] = {}
    for place, arm in enumerate(study.arms):
        specs[arm.name] = _merged(base, arm.changes, field=f"arms.{place}.changes")
    _refuse_equal_arms(specs)
    return specs


def run_spec(study: StudySpec, spec: JobSpec, *, study_id: str, arm: str, seed: int) -> JobSpec:
    """The job of an arm and a seed; `spec` is the arm's."""
    title = f"{study.name[:MAX_STUDY_NAME_CHARACTERS]}: " if study.name else ""
    labels = {STUDY_LABEL: study_id, ARM_LABEL: arm, SEED_LABEL: str(seed)}
    return spec.model_copy(
        update={
            "name": f"{title}{arm}, seed {seed}",
            "labels": {**spec.labels, **labels},
            "seed": seed,
        }
    )


def _merged(base: dict[str, Any], changes: dict[str, Any], *, field: str) -> JobSpec:
    data = with_changes(base, changes)
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        refusal = invalid_request(error.errors(include_url=False), data, model=JobSpec)
        violations = [
            Violation(f"{field}.{one.field}", one.given, one.allowed) for one in refusal.violations
        ]
    first = violations[0]
    raise DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"{first.field}: given {first.given}, allowed: {first.allowed}.",
        violations,
    )


def _refuse_equal_arms(specs: dict[str, JobSpec]) -> None:
    seen: dict[str, str] = {}
    for place, (name, spec) in enumerate(specs.items()):
        trained = _trained(spec)
        if trained in seen:
            other = seen[trained]
            raise DriftgateError(
                ErrorCode.INVALID_SPEC,
                f"arms.{place}: {name} trains exactly what {other} does, and with the same seeds. Change something "
                "that it trains with, or leave one of the two out.",
                [Violation(f"arms.{place}", f"the same as {other}", "an arm that differs")],
            )
        seen[trained] = name


def _trained(spec: JobSpec) -> str:
    """All that decides what a run comes to; a gate that is off has no other settings."""
    is_gated = spec.gate.granularity is not Granularity.NONE
    return spec.model_copy(update={"gate": spec.gate if is_gated else NO_GATE}).model_dump_json(
        exclude={"name", "labels", "priority", "max_runtime_s", "seed"}
    )
