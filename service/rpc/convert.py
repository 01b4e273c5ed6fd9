"""The contract's values to messages, by descriptor: field and enum names are the same on both sides.

What a message is made of is looked up once a type; the message itself is then built by one call of protobuf's C
code, because a job has over a hundred fields. These shapes differ:

- a discriminated union is a message with one oneof, named after the discriminator;
- `Strength` is a number or an object, a `Bound` that is set without a value is null;
- columns of numbers, some of them null, are `NullableDoubles`, rows of whole numbers are `Counts`;
- values of any type are `google.protobuf.Value`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel

from service.jobs.plans import Plan
from service.jobs.results import Job
from service.jobs.spec import AnyJobSpec
from service.rpc.generated.driftgate.v1 import jobs_pb2, spec_pb2

MessageType = TypeVar("MessageType", bound=Message)
Arguments = dict[str, Any]
Shape = Callable[[Any], Any]

# The largest whole number up to which a double holds each one.
MAX_EXACT_INTEGER = 2**53


def view_message(message_type: type[MessageType], view: BaseModel) -> MessageType:
    """The view as the message that has its fields."""
    return message_of(message_type, view.model_dump())


def message_of(message_type: type[MessageType], data: Mapping[str, Any]) -> MessageType:
    """The message from a dump of its model, whole or in part, as REST has it."""
    return message_type(**_shape_of(message_type.DESCRIPTOR)(data))


def spec_message(spec: AnyJobSpec) -> spec_pb2.JobSpec:
    """The spec with every field set, defaults included."""
    return view_message(spec_pb2.JobSpec, spec)


def job_message(job: Job) -> jobs_pb2.Job:
    """The job as gRPC clients see it."""
    return view_message(jobs_pb2.Job, job)


def plan_message(plan: Plan) -> jobs_pb2.Plan:
    """The plan as gRPC clients see it."""
    return view_message(jobs_pb2.Plan, plan)


@cache
def enum_prefix(enum: EnumDescriptor) -> str:
    """What every value name of the enum starts with, `JOB_STATE_` for JobState."""
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


@cache
def union_discriminator(descriptor: Descriptor) -> str | None:
    """Name of the oneof where the message is a discriminated union, else None."""
    is_union = len(descriptor.oneofs) == 1 and all(
        field.containing_oneof is descriptor.oneofs[0] and field.message_type is not None
        for field in descriptor.fields
    )
    return str(descriptor.oneofs[0].name) if is_union else None


@cache
def _shape_of(descriptor: Descriptor) -> Shape:
    """What turns a dump into the arguments of the message's constructor."""
    special = SPECIAL_SHAPES.get(descriptor.full_name)
    if special is not None:
        return special
    discriminator = union_discriminator(descriptor)
    if discriminator is not None:
        return _union_shape(descriptor, discriminator)
    # Made when first needed: messages may hold themselves.
    shapes: dict[str, Shape | None] = {}

    def arguments(data: Mapping[str, Any]) -> Arguments:
        if not shapes:
            shapes.update({field.name: _field_shape(field) for field in descriptor.fields})
        made: Arguments = {}
        for name, value in data.items():
            shape = shapes[name]
            if shape is None:
                if value is not None:
                    made[name] = value
            elif value is not None or shape is _bound:
                made[name] = shape(value)
        return made

    return arguments


def _union_shape(descriptor: Descriptor, discriminator: str) -> Shape:
    members = {field.name: _shape_of(field.message_type) for field in descriptor.fields}

    def arguments(data: Mapping[str, Any]) -> Arguments:
        chosen = str(data[discriminator])
        fields = {name: value for name, value in data.items() if name != discriminator}
        return {chosen: members[chosen](fields)}

    return arguments


def _field_shape(field: FieldDescriptor) -> Shape | None:
    """None where the constructor takes the value as it is."""
    if field.enum_type is not None:
        return _repeated(_enum_shape(field.enum_type), field)
    if field.message_type is None:
        return None
    if field.message_type.GetOptions().map_entry:
        return _map_shape(field.message_type.fields_by_name["value"])
    return _repeated(_shape_of(field.message_type), field)


def _repeated(shape: Shape, field: FieldDescriptor) -> Shape:
    if not field.is_repeated:
        return shape
    return lambda values: [shape(value) for value in values]


def _map_shape(values: FieldDescriptor) -> Shape | None:
    shape = _field_shape(values)
    if shape is None:
        return None
    return lambda data: {key: shape(value) for key, value in data.items()}


def _enum_shape(enum: EnumDescriptor) -> Shape:
    prefix = enum_prefix(enum)
    numbers = {value.name.removeprefix(prefix).lower(): value.number for value in enum.values}
    return numbers.__getitem__


def _bound(value: float | None) -> Arguments:
    return {} if value is None else {"value": value}


def _strength(value: float | Mapping[str, float]) -> Arguments:
    return {"adaptive": value["adaptive"]} if isinstance(value, Mapping) else {"constant": value}


def _nullable_doubles(values: Sequence[float | None]) -> Arguments:
    if None not in values:
        return {"values": values}
    return {
        "values": [0.0 if value is None else value for value in values],
        "missing": [place for place, value in enumerate(values) if value is None],
    }


def _counts(values: Sequence[int]) -> Arguments:
    return {"values": values}


def _json_value(value: object) -> Arguments:
    """Of google.protobuf.Value."""
    plain = _json(value)
    match plain:
        case None:
            return {"null_value": 0}
        case bool():
            return {"bool_value": plain}
        case int() | float():
            return {"number_value": plain}
        case str():
            return {"string_value": plain}
        case dict():
            return {"struct_value": plain}
        case _:
            return {"list_value": plain}


def _json(value: object) -> object:
    """Plain lists and objects. A whole number that a double would round is given as text."""
    match value:
        case int() if abs(value) > MAX_EXACT_INTEGER:
            return str(value)
        case None | int() | float() | str():
            return value
        case Mapping():
            return {str(key): _json(each) for key, each in value.items()}
        case Sequence():
            return [_json(each) for each in value]
        case _:
            raise TypeError(f"{type(value)} has no shape in JSON")


SPECIAL_SHAPES: dict[str, Shape] = {
    "driftgate.v1.Bound": _bound,
    "driftgate.v1.Strength": _strength,
    "driftgate.v1.NullableDoubles": _nullable_doubles,
    "driftgate.v1.Counts": _counts,
    "google.protobuf.Value": _json_value,
    "google.protobuf.Struct": _json,
    "google.protobuf.Timestamp": lambda time: time,
}
