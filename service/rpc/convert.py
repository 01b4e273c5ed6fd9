"""Messages to the contract's values and back, by descriptor: field and enum names are the same on both sides.

Three shapes differ. A discriminated union is a message with one oneof, named after the discriminator.
`Strength` is a number or an object. A `Bound` that is set without a value is null.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.unknown_fields import UnknownFieldSet

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.plans import Plan
from service.jobs.results import Job
from service.jobs.spec import AnyJobSpec
from service.jobs.state import JobState
from service.rpc.generated.driftgate.v1 import jobs_pb2, spec_pb2

# An empty repeated field means its default; here there is none.
EMPTY_IS_GIVEN = frozenset({"driftgate.v1.InlineSource.problems"})


def spec_data(message: spec_pb2.JobSpec) -> dict[str, object]:
    """The spec as the REST body would give it: only what was set.

    Raises INVALID_SPEC for enum values and fields that this server does not know.
    """
    violations: list[Violation] = []
    data = _object(message, path=(), violations=violations)
    if violations:
        first = violations[0]
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"{first.field or 'The spec'}: given {first.given}, allowed: {first.allowed}.",
            violations,
        )
    return data


def spec_message(spec: AnyJobSpec) -> spec_pb2.JobSpec:
    """The spec with every field set, defaults included."""
    message = spec_pb2.JobSpec()
    fill_message(message, spec.model_dump())
    return message


def job_message(job: Job) -> jobs_pb2.Job:
    """The job as gRPC clients see it."""
    message = jobs_pb2.Job()
    fill_message(message, job.model_dump())
    return message


def plan_message(plan: Plan) -> jobs_pb2.Plan:
    """The plan as gRPC clients see it."""
    message = jobs_pb2.Plan()
    fill_message(message, plan.model_dump())
    return message


def fill_message(message: Message, data: Mapping[str, Any]) -> None:
    """Sets the message's fields from a dump of its model, whole or in part, as REST has it."""
    discriminator = union_discriminator(message)
    if discriminator is not None:
        member = getattr(message, data[discriminator])
        member.SetInParent()
        fill_message(member, {name: value for name, value in data.items() if name != discriminator})
        return
    fields = {field.name: field for field in _fields(message)}
    for name, value in data.items():
        _fill_field(message, fields[name], value)


def job_states(numbers: Iterable[int]) -> tuple[JobState, ...]:
    """Raises INVALID_ARGUMENT for a number that is no state."""
    enum = jobs_pb2.JobState.DESCRIPTOR
    states = []
    for index, number in enumerate(numbers):
        value = _enum_text(enum, number)
        if value is None:
            violation = Violation(f"states.{index}", str(number), _allowed(enum))
            raise DriftgateError(
                ErrorCode.INVALID_ARGUMENT,
                f"{violation.field}: given {number}, allowed: {violation.allowed}.",
                [violation],
            )
        states.append(JobState(value))
    return tuple(states)


def enum_prefix(enum: EnumDescriptor) -> str:
    """What every value name of the enum starts with, `JOB_STATE_` for JobState."""
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def union_discriminator(message: Message) -> str | None:
    """Name of the oneof where the message is a discriminated union, else None."""
    descriptor = message.DESCRIPTOR
    is_union = len(descriptor.oneofs) == 1 and all(
        field.containing_oneof is descriptor.oneofs[0] and field.message_type is not None
        for field in descriptor.fields
    )
    return descriptor.oneofs[0].name if is_union else None


def _object(
    message: Message, *, path: tuple[str, ...], violations: list[Violation]
) -> dict[str, object]:
    unknown_fields = UnknownFieldSet(message)
    violations.extend(
        Violation(
            ".".join(path),
            f"field number {unknown_fields[index].field_number}",
            f"the fields of {message.DESCRIPTOR.full_name} in this server's version",
        )
        for index in range(len(unknown_fields))
    )
    discriminator = union_discriminator(message)
    if discriminator is not None:
        chosen = message.WhichOneof(discriminator)
        if chosen is None:
            return {}
        member = _object(getattr(message, chosen), path=path, violations=violations)
        return {discriminator: chosen, **member}
    data: dict[str, object] = {}
    for field in _fields(message):
        if _is_given(message, field):
            value = getattr(message, field.name)
            data[field.name] = _value(value, field, path=(*path, field.name), violations=violations)
    return data


def _fields(message: Message) -> list[FieldDescriptor]:
    # The type stubs keep the fast implementation's descriptors apart from the public class.
    return cast("list[FieldDescriptor]", list(message.DESCRIPTOR.fields))


def _is_given(message: Message, field: FieldDescriptor) -> bool:
    if field.has_presence:
        return message.HasField(field.name)
    return bool(getattr(message, field.name)) or field.full_name in EMPTY_IS_GIVEN


def _value(
    value: Any, field: FieldDescriptor, *, path: tuple[str, ...], violations: list[Violation]
) -> object:
    if field.is_repeated:
        return _elements(value, field, path=path, violations=violations)
    if isinstance(value, spec_pb2.Bound):
        return value.value if value.HasField("value") else None
    if isinstance(value, spec_pb2.Strength):
        return _strength(value)
    if field.message_type is not None:
        return _object(value, path=path, violations=violations)
    if field.enum_type is not None:
        text = _enum_text(field.enum_type, value)
        if text is None:
            violations.append(Violation(".".join(path), str(value), _allowed(field.enum_type)))
        return text
    return value


def _elements(
    value: Any, field: FieldDescriptor, *, path: tuple[str, ...], violations: list[Violation]
) -> object:
    if field.message_type is None:
        return list(value)
    if field.message_type.GetOptions().map_entry:
        return dict(value)
    return [
        _object(element, path=(*path, str(index)), violations=violations)
        for index, element in enumerate(value)
    ]


def _strength(strength: spec_pb2.Strength) -> object:
    chosen = strength.WhichOneof("strength")
    if chosen == "constant":
        return strength.constant
    return {} if chosen is None else {"adaptive": strength.adaptive}


def _enum_text(enum: EnumDescriptor, number: int) -> str | None:
    """The contract's name of the value, None for numbers that are unknown or unspecified."""
    value = enum.values_by_number.get(number)
    if value is None or value.number == 0:
        return None
    return str(value.name).removeprefix(enum_prefix(enum)).lower()


def _allowed(enum: EnumDescriptor) -> str:
    return ", ".join(value.name for value in enum.values if value.number != 0)


def _fill_field(message: Message, field: FieldDescriptor, value: Any) -> None:
    part = getattr(message, field.name)
    if isinstance(part, spec_pb2.Bound):
        part.SetInParent()
        if value is not None:
            part.value = value
    elif value is None:
        return
    elif field.is_repeated:
        _fill_repeated(part, field, value)
    elif isinstance(part, Timestamp):
        assert isinstance(value, datetime)
        part.FromDatetime(value)
    elif isinstance(part, spec_pb2.Strength):
        if isinstance(value, Mapping):
            part.adaptive = value["adaptive"]
        else:
            part.constant = value
    elif field.message_type is not None:
        part.SetInParent()
        fill_message(part, value)
    elif field.enum_type is not None:
        name = f"{enum_prefix(field.enum_type)}{value.upper()}"
        setattr(message, field.name, field.enum_type.values_by_name[name].number)
    else:
        setattr(message, field.name, value)


def _fill_repeated(part: Any, field: FieldDescriptor, value: Any) -> None:
    if field.message_type is None:
        part.extend(value)
    elif field.message_type.GetOptions().map_entry:
        part.update(value)
    else:
        assert isinstance(value, Sequence)
        for element in value:
            fill_message(part.add(), element)
