"""What a refusal shows of what was given: JSON, cut to a line, and nothing that is or may be a secret.

Secrets are given by reference, but a client may write one in place of its name, beside it, or under a field
that there is not. Nothing of an object is shown but the fields that the contract knows.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, get_args

from pydantic import BaseModel

from service.errors import without_user_info
from service.jobs.api_keys import ApiKeyRequest, ApiKeyRotation
from service.jobs.export_spec import ExportRequest
from service.jobs.model_fields import models_in
from service.jobs.patches import JobPatch
from service.jobs.spec import EvaluationJobSpec, ExportJobSpec, JobSpec, RegradeJobSpec
from service.jobs.spec_fields import SecretRef
from service.jobs.study_spec import StudySpec
from service.jobs.webhooks import WebhookPatch, WebhookSpec

MAX_SHOWN_CHARACTERS = 200
# Of one text, before user names and passwords are taken out of it: no URL of the contract is longer.
MAX_READ_CHARACTERS = 2000
HIDDEN = "***"

Models = tuple[type[BaseModel], ...]

# Where it is not known of which model a body should have been.
BODIES: Models = (
    JobSpec,
    EvaluationJobSpec,
    RegradeJobSpec,
    ExportJobSpec,
    StudySpec,
    ExportRequest,
    WebhookSpec,
    WebhookPatch,
    JobPatch,
    ApiKeyRequest,
    ApiKeyRotation,
)

# A user name and a password before a host, however they are written: with one slash, with blanks, percent-encoded.
_USER_AND_PASSWORD = re.compile(r".*(?::|%3[Aa]|#).*@", re.DOTALL)
_SECRET_NAME = re.compile(r"token|key|passw|passphrase|pwd|secret|credential|auth|bearer")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a body. models: what may stand there; none where it is no object of the contract."""

    field: str
    models: Models
    is_secret: bool

    def shown(self, value: object) -> str:
        """What was given there; `a text that is not shown` and the like where it is or may be a secret."""
        is_container = isinstance(value, Mapping | list | tuple)
        is_wrong_shape = (
            not self.models and _holds_text(value) if is_container else _hold_secrets(self.models)
        )
        if value and not isinstance(value, bool) and (self.is_secret or is_wrong_shape):
            return f"{_kind(value)} that is not shown"
        return _json(value, self.models)


def place_at(path: Sequence[str], *, model: type[BaseModel] | None) -> Place:
    """Of the keys and positions from the top of the body; `model` is the body's where that is known."""
    models = BODIES if model is None else (model,)
    shown_path: list[str] = []
    is_secret = False
    for part in path:
        if part.isdecimal():
            shown_path.append(part)
            continue  # a position in a list of the same models
        annotations = _annotations(models, part)
        if not annotations and SecretRef in models:
            break  # a secret may have been written as a field's name
        shown_path.append(part)
        # Of a field that there is not, nobody knows what it was to hold; a label has a name of its own.
        is_unknown = not annotations and (bool(models) or _SECRET_NAME.search(part.lower()))
        models = _models_of(annotations)
        is_secret = is_secret or bool(is_unknown) or SecretRef in models
    return Place(".".join(shown_path), models, is_secret)


def shown(value: object) -> str:
    """A value from where no secret is expected, such as a parameter of the address."""
    return _json(value, ())


def _json(value: object, models: Models) -> str:
    """Made piece by piece and no further than it is shown: a body may hold millions of values."""
    text = ""
    for piece in _pieces(value, models):
        text += piece
        if len(text) > MAX_SHOWN_CHARACTERS:
            return f"{text[:MAX_SHOWN_CHARACTERS]}…"
    return text


def _pieces(value: object, models: Models) -> Iterator[str]:
    match value:
        case Mapping():
            yield "{"
            for index, (name, each) in enumerate(value.items()):
                yield f"{', ' if index else ''}{_quoted(str(name))}: "
                yield from _pieces_of_field(str(name), each, models)
            yield "}"
        case list() | tuple():
            yield "["
            for index, each in enumerate(value):
                yield ", " if index else ""
                yield from _pieces(each, models)
            yield "]"
        case None | bool():
            yield json.dumps(value)
        case _ if _hold_secrets(models):
            yield _quoted(HIDDEN)
        case int() | float():
            yield json.dumps(value)
        case _:
            yield _quoted(str(value))


def _pieces_of_field(name: str, value: object, models: Models) -> Iterator[str]:
    annotations = _annotations(models, name)
    inner = _models_of(annotations)
    if value is not None and (not annotations or SecretRef in inner):
        yield _quoted(HIDDEN)
    else:
        yield from _pieces(value, inner)


def _quoted(text: str) -> str:
    """As JSON, with escapes for whatever a terminal would not print as it is."""
    readable = _without_password(text[:MAX_READ_CHARACTERS])[: MAX_SHOWN_CHARACTERS + 1]
    quoted = json.dumps(readable, ensure_ascii=False)
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in quoted)


def _without_password(text: str) -> str:
    """Also of what is no URL by one character: whatever stands before the last @ beside a colon."""
    scheme = _SCHEME.match(text)
    kept = scheme[0] if scheme else ""
    rest = text[len(kept) :]
    if _USER_AND_PASSWORD.match(rest):
        return f"{kept}***@{rest.rpartition('@')[2]}"
    return without_user_info(text)


def _kind(value: object) -> str:
    match value:
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case int() | float():
            return "a number"
        case _:
            return "a text"


def _annotations(models: Models, name: str) -> tuple[object, ...]:
    return tuple(
        model.model_fields[name].annotation for model in models if name in model.model_fields
    )


def _models_of(annotations: Iterable[object]) -> Models:
    return tuple(dict.fromkeys(chain.from_iterable(map(_named_by, annotations))))


def _named_by(annotation: object) -> Iterable[type[BaseModel]]:
    # What is of any type is what an arm of a study changes of a job's spec.
    return (JobSpec,) if Any in get_args(annotation) else models_in(annotation)


def _holds_text(value: object) -> bool:
    """Whether a list or an object that should be neither has more than numbers in it."""
    inside = value.values() if isinstance(value, Mapping) else value
    assert isinstance(inside, Iterable)
    return any(isinstance(each, str | Mapping | list | tuple) for each in inside)


def _hold_secrets(models: Models) -> bool:
    return any(map(_holds_secrets, models))


@cache
def _holds_secrets(model: type[BaseModel]) -> bool:
    """Whether it is the name of a secret, or has one at any depth."""
    return model is SecretRef or any(
        _hold_secrets(_models_of([field.annotation])) for field in model.model_fields.values()
    )
