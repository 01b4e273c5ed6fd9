"""A spec from outside becomes one of the contract's specs, or an error that names every wrong field."""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.allowed_text import allowed_text
from service.jobs.model_fields import models_in
from service.jobs.shown_input import place_at, shown
from service.jobs.spec import (
    AnyJobSpec,
    EvaluationJobSpec,
    ExportJobSpec,
    JobKind,
    JobSpec,
    RegradeJobSpec,
)

ANY_JOB_SPEC: TypeAdapter[AnyJobSpec] = TypeAdapter(
    AnyJobSpec, config=ConfigDict(hide_input_in_errors=True)
)
MODELS: Mapping[str, type[BaseModel]] = {
    JobKind.DISTILLATION: JobSpec,
    JobKind.EVALUATION: EvaluationJobSpec,
    JobKind.REGRADE: RegradeJobSpec,
    JobKind.EXPORT: ExportJobSpec,
}

Request = TypeVar("Request", bound=BaseModel)

MAX_VIOLATIONS = 100

# The contract's own checks across fields say `FIELD is GIVEN, but ALLOWED`.
_CROSS_CHECK = re.compile(
    r"^(?P<field>[a-z_.0-9]+) is (?P<given>[^,]+), but (?P<allowed>.+)$", re.DOTALL
)


def parse_spec(data: object) -> AnyJobSpec:
    """Raises INVALID_SPEC with one violation per error, up to a hundred."""
    try:
        return ANY_JOB_SPEC.validate_python(data)
    except ValidationError as error:
        raise invalid_spec(error.errors(include_url=False), data) from None


def invalid_spec(errors: Sequence[ErrorDetails], data: object) -> DriftgateError:
    """INVALID_SPEC of what pydantic found in `data`; the message is the first of the violations."""
    errors = _without_echoes(errors)
    violations = [_spec_violation(error, data) for error in errors[:MAX_VIOLATIONS]]
    first = violations[0]
    others = f" And {len(errors) - 1:,} more." if len(errors) > 1 else ""
    return DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"{first.field or 'The spec'}: given {first.given}, allowed: {first.allowed}.{others}",
        violations,
    )


def parse_request(model: type[Request], data: object) -> Request:
    """A body other than a spec. Raises INVALID_ARGUMENT with one violation per error, up to a hundred."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False), data, model=model) from None


def invalid_request(
    errors: Sequence[ErrorDetails], data: object, *, model: type[BaseModel] | None = None
) -> DriftgateError:
    """INVALID_ARGUMENT of what pydantic found in `data`; `model` names the fields that there are."""
    violations = [
        _violation(error, data, location=error["loc"], model=model)
        for error in _without_echoes(errors)[:MAX_VIOLATIONS]
    ]
    first = violations[0]
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"{first.field or 'The body'}: given {first.given}, allowed: {first.allowed}.",
        violations,
    )


def _without_echoes(errors: Sequence[ErrorDetails]) -> Sequence[ErrorDetails]:
    """Without lists that pydantic finds too short because it left out an element that it refused."""
    return [
        error
        for error in errors
        if error["type"] != "too_short" or len(error["input"]) < error["ctx"]["min_length"]
    ]


def _spec_violation(error: ErrorDetails, data: object) -> Violation:
    # The place of an error begins with the kind of job, which is no place in the data.
    kind = str(error["loc"][0]) if error["loc"] else JobKind.DISTILLATION
    if error["type"] == "union_tag_invalid" and not error["loc"]:
        return Violation("kind", shown(error["input"]["kind"]), ", ".join(JobKind))
    return _violation(error, data, location=error["loc"][1:], model=MODELS.get(kind))


def _violation(
    error: ErrorDetails,
    data: object,
    *,
    location: Sequence[int | str],
    model: type[BaseModel] | None,
) -> Violation:
    path = _path_in_data(location, data, is_missing=error["type"] == "missing")
    place = place_at(path, model=model)
    given = "nothing" if error["type"] == "missing" else place.shown(error["input"])
    match error["type"]:
        case "extra_forbidden":
            return Violation(place.field, given, _known_fields(location, model=model))
        case "value_error" if cross_check := _CROSS_CHECK.match(allowed_text(error)):
            field = ".".join([*path, cross_check["field"]])
            return Violation(field, cross_check["given"], cross_check["allowed"])
        case "union_tag_invalid" | "union_tag_not_found":
            return _no_member(error, path, model=model)
        case _:
            return Violation(place.field, given, allowed_text(error))


def _no_member(
    error: ErrorDetails, path: Sequence[str], *, model: type[BaseModel] | None
) -> Violation:
    """Of an object that does not say which of several it is, by the field that should."""
    discriminator = error["ctx"]["discriminator"].strip("'")
    place = place_at([*path, discriminator], model=model)
    is_missing = error["type"] == "union_tag_not_found"
    given = "nothing" if is_missing else place.shown(error["input"][discriminator])
    return Violation(place.field, given, allowed_text(error))


def _path_in_data(location: Sequence[int | str], data: object, *, is_missing: bool) -> list[str]:
    """Keys and positions as the client wrote them: pydantic's also name members of unions."""
    path: list[str] = []
    here = data
    for part in location:
        # One look-up serves objects and lists; the name of a union's member is in neither.
        places = dict(enumerate(here)) if isinstance(here, list | tuple) else here
        if isinstance(places, Mapping) and part in places:
            here = places[part]
            path.append(str(part))
    if is_missing:
        path.extend(str(part) for part in location[-1:])
    return path


def _known_fields(location: Sequence[int | str], *, model: type[BaseModel] | None) -> str:
    """The names of the fields that stand beside the unknown one."""
    if model is None:
        return "no such field"
    models: list[type[BaseModel]] = [model]
    for part in location[:-1]:
        if not isinstance(part, str):
            continue  # a position in a list of the same models
        members = [
            member
            for model in models
            if part in model.model_fields
            for member in models_in(model.model_fields[part].annotation)
        ]
        models = members or [model for model in models if _is_member(model, part)]
    names = sorted({name for model in models for name in model.model_fields})
    return f"no such field; the fields here are {', '.join(names)}"


def _is_member(model: type[BaseModel], name: str) -> bool:
    """Whether pydantic calls this member of a union so: by its discriminator or its class."""
    tags = (
        model.model_fields[field].default
        for field in ("type", "source")
        if field in model.model_fields
    )
    return name == model.__name__ or name in tags
