"""Bodies with a secret where none may stand: in place of its name, beside it, around it, in unknown fields, in URLs.

Where secrets are named is read off the contract, so that a new field is covered as soon as it is there.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from service.jobs.export_spec import ExportRequest, StoreCredentials
from service.jobs.spec import EvaluationJobSpec, ExportJobSpec, JobSpec, RegradeJobSpec
from service.jobs.spec_fields import SecretRef
from service.jobs.study_spec import StudySpec
from tests.service.studies.played_runs import STUDY

NUMBER = 8675309424242
MARKER = f"hf-{NUMBER}"  # what holds neither holds no part of a secret
URL_WITH_PASSWORD = f"https://user:{MARKER}@host.example/v1"

DISTILLATION: Mapping[str, Any] = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 20}},
}
EVALUATION: Mapping[str, Any] = {
    "kind": "evaluation",
    "model": {"model": "builtin/arithmetic-student"},
    "evaluation": {"benchmarks": [{"name": "aime24"}]},
}
TO_HUB: Mapping[str, Any] = {"type": "hub", "repo_id": "a/b", "token": {"secret": "HUB_TOKEN"}}
TO_STORE: Mapping[str, Any] = {"type": "object_store", "url": "s3://bucket/prefix"}
EXPORT: Mapping[str, Any] = {"kind": "export", "job_id": "0" * 32}
REGRADE: Mapping[str, Any] = {"kind": "regrade", "job_id": "0" * 32}

# By name: of what model it is, and a body that lacks nothing.
SPECS: Mapping[str, tuple[type[BaseModel], Mapping[str, Any]]] = {
    "distillation": (JobSpec, DISTILLATION),
    "evaluation": (EvaluationJobSpec, EVALUATION),
    "regrade": (RegradeJobSpec, REGRADE),
    "export to hub": (ExportJobSpec, EXPORT | {"destination": TO_HUB}),
    "export to store": (ExportJobSpec, EXPORT | {"destination": TO_STORE}),
}
EXPORT_REQUESTS: Mapping[str, tuple[type[BaseModel], Mapping[str, Any]]] = {
    "to hub": (ExportRequest, {"destination": TO_HUB}),
    "to store": (ExportRequest, {"destination": TO_STORE}),
}
STUDIES: Mapping[str, tuple[type[BaseModel], Mapping[str, Any]]] = {"study": (StudySpec, STUDY)}

# A destination is of one type, and only the secrets of that type have a place in it.
OF_HUB = (("destination", "token"),)
OF_STORE = tuple(("destination", "credentials", name) for name in StoreCredentials.model_fields)
NAMES_OF_DESTINATION: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "export to hub": OF_HUB,
    "to hub": OF_HUB,
    "export to store": OF_STORE,
    "to store": OF_STORE,
}

IN_PLACE_OF_A_NAME: Sequence[object] = (
    MARKER,
    NUMBER,
    [MARKER],
    [[{"secret": MARKER}]],
    {"secret": MARKER},
    {"secret": NUMBER},
    {"secret": [MARKER]},
    {"secret": {"value": MARKER}},
    {"secret": "HUB_TOKEN", "value": MARKER},
    {"secret": "HUB_TOKEN", "value": {"of": [NUMBER]}},
    {MARKER: "HUB_TOKEN"},
)
IN_PLACE_OF_AN_OBJECT: Sequence[object] = (
    MARKER,
    NUMBER,
    [MARKER],
    ["x", [NUMBER]],
    [{"x": MARKER}],
)
UNKNOWN_NAMES = (
    "token",
    "hubToken",
    "hub-token",
    "API_KEY",
    "apikey",
    "password",
    "passwd",
    "Secret",
    "credentials",
    "Authorization",
    "aws_secret_access_key",
)


@dataclass(frozen=True)
class Case:
    """name: which body, and what of it is wrong."""

    name: str
    body: Any


def wrong_bodies(
    bodies: Mapping[str, tuple[type[BaseModel], Mapping[str, Any]]],
) -> Iterator[Case]:
    """Every wrong shape at every place of every body."""
    for name, (model, body) in bodies.items():
        places = secret_places(model, ())
        for place in places:
            for shape in IN_PLACE_OF_A_NAME:
                yield Case(f"{name}: {place} is {shape}", with_value(body, place, shape))
        for above in {place[:end] for place in places for end in range(len(place))}:
            for shape in IN_PLACE_OF_AN_OBJECT:
                yield Case(f"{name}: {above} is {shape}", with_value(body, above, shape))
        for parent in {place[:-1] for place in places}:
            yield Case(f"{name}: beside {parent}", with_value(body, (*parent, "tokn"), MARKER))
        for unknown in UNKNOWN_NAMES:
            yield Case(f"{name}: {unknown}", with_value(body, (unknown,), MARKER))
            yield Case(f"{name}: {unknown}", with_value(body, (unknown,), {"of": [MARKER]}))


def bodies_with_wrong_names(
    bodies: Mapping[str, tuple[type[BaseModel], Mapping[str, Any]]],
) -> Iterator[Case]:
    """Where a name of a secret belongs, the secret: all that a message of gRPC can have of this."""
    for name, (model, body) in bodies.items():
        for place in NAMES_OF_DESTINATION.get(name) or secret_places(model, ()):
            yield Case(f"{name}: {place}", with_value(body, place, {"secret": MARKER}))


def bodies_with_urls() -> Iterator[Case]:
    """Specs with a URL that has a password, wherever a client may think that one belongs."""
    for name, place in (
        ("distillation", ("student", "model")),
        ("distillation", ("student", "revision")),
        ("distillation", ("teacher", "model")),
        ("distillation", ("teacher", "endpoint")),
        ("evaluation", ("model", "model")),
        ("export to store", ("destination", "url")),
        ("export to store", ("destination", "endpoint")),
        ("export to hub", ("destination", "repo_id")),
        ("regrade", ("job_id",)),
    ):
        _, body = SPECS[name]
        yield Case(f"{name}: {place}", with_value(body, place, URL_WITH_PASSWORD))
    path = {"source": "file", "path": URL_WITH_PASSWORD}
    yield Case("a file", with_value(DISTILLATION, ("prompts", "problems"), path))


def secret_places(model: type[BaseModel], path: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Where the model names secrets; no part of the contract has them in a list."""
    if model is SecretRef:
        return (path,)
    return tuple(
        place
        for name, field in model.model_fields.items()
        for member in _models_in(field.annotation)
        for place in secret_places(member, (*path, name))
    )


def with_value(body: Mapping[str, Any], path: Sequence[str], value: object) -> Any:
    """A copy with the value at the path; objects on the way that are not there are made."""
    if not path:
        return value
    first, *rest = path
    copied = copy.deepcopy(dict(body))
    copied[first] = with_value(copied.get(first) or {}, rest, value)
    return copied


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
