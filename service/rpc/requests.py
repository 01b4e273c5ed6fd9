"""Messages from clients to what the operations take; whatever the server does not know is refused by its path."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.unknown_fields import UnknownFieldSet
from pydantic import BaseModel

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.parsing import MAX_VIOLATIONS, parse_request
from service.jobs.shown_input import shown
from service.jobs.state import JobState
from service.rpc.convert import enum_prefix, union_discriminator
from service.rpc.generated.driftgate.v1 import jobs_pb2, spec_pb2, studies_pb2

# An empty repeated field means its default; here there is none.
EMPTY_IS_GIVEN = frozenset({"driftgate.v1.InlineSource.problems"})
MAX_WAIT_S = 60

Path = tuple[str, ...]
Reader = Callable[[Any, Path, list[Violation]], object]
Choice = TypeVar("Choice", bound=StrEnum)
Body = TypeVar("Body", bound=BaseModel)


def spec_data(message: spec_pb2.JobSpec) -> dict[str, object]:
    """The spec as the REST body would give it: only what was set.

    Raises INVALID_SPEC for enum values and fields that this server does not know.
    """
    return _data(message, code=ErrorCode.INVALID_SPEC, what="The spec")


def study_data(message: studies_pb2.StudySpec) -> dict[str, object]:
    """The study as the REST body would give it: only what was set.

    Raises INVALID_SPEC for enum values and fields that this server does not know.
    """
    return _data(message, code=ErrorCode.INVALID_SPEC, what="The study")


def gate_data(message: spec_pb2.GateSpec) -> dict[str, object]:
    """The fields of a gate that were set.

    Raises INVALID_ARGUMENT for enum values and fields that this server does not know.
    """
    return _data(message, code=ErrorCode.INVALID_ARGUMENT, what="The gate")


def parse_body(
    model: type[Body], message: Message, *, without: Iterable[str] = (), **fields: object
) -> Body:
    """What the REST body would be; `without` are fields of the message that the body does not have, `fields` those
    of the body that are not as in the message.

    Raises INVALID_ARGUMENT for what is no such body.
    """
    data = _data(message, code=ErrorCode.INVALID_ARGUMENT, what="The request")
    for name in without:
        data.pop(name, None)
    return parse_request(model, data | fields)


def refuse_unknown_fields(message: Message) -> None:
    """Raises INVALID_ARGUMENT for a field of the request itself that this server does not know."""
    violations = _unknown_fields(message, ())
    if violations:
        raise _refusal(ErrorCode.INVALID_ARGUMENT, violations, what="The request")


def choices(
    enum_type: type[Choice], descriptor: EnumDescriptor, numbers: Iterable[int], *, field: str
) -> tuple[Choice, ...]:
    """Raises INVALID_ARGUMENT for a number that is none of the enum's values."""
    return tuple(
        choice(enum_type, descriptor, number, field=f"{field}.{index}")
        for index, number in enumerate(numbers)
    )


def choice(
    enum_type: type[Choice], descriptor: EnumDescriptor, number: int, *, field: str
) -> Choice:
    """Raises INVALID_ARGUMENT for a number that is none of the enum's values."""
    text = _enum_text(descriptor, number)
    if text is None:
        violation = Violation(field, str(number), _allowed(descriptor))
        raise _refusal(ErrorCode.INVALID_ARGUMENT, [violation], what="The request")
    return enum_type(text)


def choice_of_text(allowed: Iterable[str], text: str, *, field: str) -> str:
    """The text. Raises INVALID_ARGUMENT where it is not one of those that are allowed."""
    known = [str(each) for each in allowed]
    require(text in known, field=field, given=shown(text), allowed=", ".join(known))
    return text


def require(holds: bool, *, field: str, given: object, allowed: str) -> None:  # noqa: FBT001 an assertion
    """Raises INVALID_ARGUMENT unless it holds."""
    if not holds:
        violation = Violation(field, str(given), allowed)
        raise _refusal(ErrorCode.INVALID_ARGUMENT, [violation], what="The request")


def text_of(message: Message, field: str) -> str | None:
    """None where it is not set."""
    return getattr(message, field) if message.HasField(field) else None


def finite(message: Message, field: str) -> float | None:
    """None where it is not set. Raises INVALID_ARGUMENT for NaN and the infinities."""
    if not message.HasField(field):
        return None
    value: float = getattr(message, field)
    require(math.isfinite(value), field=field, given=shown(value), allowed="a finite number")
    return value


def job_states(numbers: Iterable[int]) -> tuple[JobState, ...]:
    """Raises INVALID_ARGUMENT for a number that is no state."""
    return choices(JobState, jobs_pb2.JobState.DESCRIPTOR, numbers, field="states")


def time_of(message: Message, field: str) -> datetime | None:
    """The time in UTC; None where it is not set. Raises INVALID_ARGUMENT for a time that is none."""
    if not message.HasField(field):
        return None
    time: Timestamp = getattr(message, field)
    try:
        return time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _no_time(field, time) from None


def wait_s_of(request: jobs_pb2.GetJobRequest | jobs_pb2.ListChangesRequest) -> float:
    """How long the client would have the answer held back, 0 where it would not; MAX_WAIT_S at most.

    Raises INVALID_ARGUMENT for a duration that is none or less than none.
    """
    try:
        wait_s = request.wait.ToTimedelta().total_seconds()
    except (ValueError, OverflowError):
        raise _no_time("wait", request.wait) from None
    require(wait_s >= 0, field="wait", given=f"{wait_s:g} s", allowed=f"0 to {MAX_WAIT_S} s")
    return min(wait_s, MAX_WAIT_S)


def _data(message: Message, *, code: ErrorCode, what: str) -> dict[str, object]:
    violations: list[Violation] = []
    data = _object(message, (), violations)
    if violations:
        raise _refusal(code, violations, what=what)
    return data


def _object(message: Message, path: Path, violations: list[Violation]) -> dict[str, object]:
    unknown = _unknown_fields(message, path)
    if unknown:
        violations.extend(unknown)
    discriminator = union_discriminator(message.DESCRIPTOR)
    if discriminator is not None:
        chosen = message.WhichOneof(discriminator)
        if chosen is None:
            return {}
        member = _object(getattr(message, chosen), path, violations)
        return {discriminator: chosen, **member}
    data: dict[str, object] = {}
    for field, value in message.ListFields():
        name, reader = _named_reader(field)
        data[name] = value if reader is None else reader(value, (*path, name), violations)
    for name in _given_when_empty(message.DESCRIPTOR):
        data.setdefault(name, [])
    return data


@cache
def _given_when_empty(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(field.name for field in descriptor.fields if field.full_name in EMPTY_IS_GIVEN)


def _unknown_fields(message: Message, path: Path) -> list[Violation]:
    unknown_fields = UnknownFieldSet(message)
    if not len(unknown_fields):
        return []
    return [
        Violation(
            ".".join(path),
            f"field number {unknown_fields[index].field_number}",
            f"the fields of {message.DESCRIPTOR.full_name} in this server's version",
        )
        for index in range(min(len(unknown_fields), MAX_VIOLATIONS))
    ]


@cache
def _named_reader(field: FieldDescriptor) -> tuple[str, Reader | None]:
    return field.name, _reader(field)


def _reader(field: FieldDescriptor) -> Reader | None:
    """What makes the contract's value of the field's; None where they are the same."""
    if not field.is_repeated:
        return _element_reader(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return lambda value, _path, _violations: dict(value)
    reader = _element_reader(field)
    if reader is None:
        return lambda values, _path, _violations: list(values)
    return lambda values, path, violations: [
        reader(value, (*path, str(index)), violations) for index, value in enumerate(values)
    ]


def _element_reader(field: FieldDescriptor) -> Reader | None:
    enum = field.enum_type
    if enum is not None:
        return lambda value, path, violations: _enum(value, enum, path, violations)
    if field.message_type is None:
        return None
    return SPECIAL_READERS.get(field.message_type.full_name, _object)


def _bound(bound: spec_pb2.Bound, _path: Path, _violations: list[Violation]) -> float | None:
    return bound.value if bound.HasField("value") else None


def _strength(strength: spec_pb2.Strength, _path: Path, _violations: list[Violation]) -> object:
    chosen = strength.WhichOneof("strength")
    if chosen == "constant":
        return strength.constant
    return {} if chosen is None else {"adaptive": strength.adaptive}


def _time(value: Timestamp, path: Path, violations: list[Violation]) -> datetime | None:
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        violations.extend(_no_time(".".join(path), value).violations)
        return None


def _struct(struct: Struct, _path: Path, _violations: list[Violation]) -> dict[str, object]:
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Value) -> object:
    match value.WhichOneof("kind"):
        case "struct_value":
            return {name: _value(each) for name, each in value.struct_value.fields.items()}
        case "list_value":
            return [_value(each) for each in value.list_value.values]
        case None | "null_value":
            return None
        case kind:
            plain: object = getattr(value, kind)
            return plain


def _enum(number: int, enum: EnumDescriptor, path: Path, violations: list[Violation]) -> str | None:
    text = _enum_text(enum, number)
    if text is None:
        violations.append(Violation(".".join(path), str(number), _allowed(enum)))
    return text


SPECIAL_READERS: dict[str, Reader] = {
    "driftgate.v1.Bound": _bound,
    "driftgate.v1.Strength": _strength,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Timestamp": _time,
}


def _enum_text(enum: EnumDescriptor, number: int) -> str | None:
    """The contract's name of the value, None for numbers that are unknown or unspecified."""
    return _enum_texts(enum).get(number)


@cache
def _enum_texts(enum: EnumDescriptor) -> dict[int, str]:
    prefix = enum_prefix(enum)
    return {
        value.number: str(value.name).removeprefix(prefix).lower()
        for value in enum.values
        if value.number != 0
    }


def _allowed(enum: EnumDescriptor) -> str:
    return ", ".join(value.name for value in enum.values if value.number != 0)


def _no_time(field: str, given: Timestamp | Duration) -> DriftgateError:
    violation = Violation(
        field,
        f"{given.seconds} s and {given.nanos} ns",
        "years 1 to 9999, 0 to 999,999,999 ns"
        if isinstance(given, Timestamp)
        else "a duration of google.protobuf.Duration",
    )
    return _refusal(ErrorCode.INVALID_ARGUMENT, [violation], what="The request")


def _refusal(code: ErrorCode, violations: list[Violation], *, what: str) -> DriftgateError:
    first = violations[0]
    return DriftgateError(
        code,
        f"{first.field or what}: given {first.given}, allowed: {first.allowed}.",
        violations,
    )
