from service.rpc.generated.driftgate.v1 import spec_pb2 as _spec_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_ORIGIN_UNSPECIFIED: _ClassVar[ModelOrigin]
    MODEL_ORIGIN_BUILTIN: _ClassVar[ModelOrigin]
    MODEL_ORIGIN_LOCAL: _ClassVar[ModelOrigin]

class ProblemSetOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROBLEM_SET_ORIGIN_UNSPECIFIED: _ClassVar[ProblemSetOrigin]
    PROBLEM_SET_ORIGIN_FOLDER: _ClassVar[ProblemSetOrigin]
    PROBLEM_SET_ORIGIN_HUB: _ClassVar[ProblemSetOrigin]
    PROBLEM_SET_ORIGIN_NOWHERE: _ClassVar[ProblemSetOrigin]
MODEL_ORIGIN_UNSPECIFIED: ModelOrigin
MODEL_ORIGIN_BUILTIN: ModelOrigin
MODEL_ORIGIN_LOCAL: ModelOrigin
PROBLEM_SET_ORIGIN_UNSPECIFIED: ProblemSetOrigin
PROBLEM_SET_ORIGIN_FOLDER: ProblemSetOrigin
PROBLEM_SET_ORIGIN_HUB: ProblemSetOrigin
PROBLEM_SET_ORIGIN_NOWHERE: ProblemSetOrigin

class MetricDescription(_message.Message):
    __slots__ = ("name", "unit", "meaning")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    meaning: str
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., meaning: _Optional[str] = ...) -> None: ...

class Preset(_message.Message):
    __slots__ = ("name", "description", "spec")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    spec: _spec_pb2.JobSpec
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., spec: _Optional[_Union[_spec_pb2.JobSpec, _Mapping]] = ...) -> None: ...

class ListMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMetricsResponse(_message.Message):
    __slots__ = ("metrics",)
    METRICS_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[MetricDescription]
    def __init__(self, metrics: _Optional[_Iterable[_Union[MetricDescription, _Mapping]]] = ...) -> None: ...

class ListPresetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPresetsResponse(_message.Message):
    __slots__ = ("presets",)
    PRESETS_FIELD_NUMBER: _ClassVar[int]
    presets: _containers.RepeatedCompositeFieldContainer[Preset]
    def __init__(self, presets: _Optional[_Iterable[_Union[Preset, _Mapping]]] = ...) -> None: ...

class ModelDescription(_message.Message):
    __slots__ = ("model", "origin", "num_parameters", "vocab_size", "max_positions", "problem")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    NUM_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    VOCAB_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    model: str
    origin: ModelOrigin
    num_parameters: int
    vocab_size: int
    max_positions: int
    problem: str
    def __init__(self, model: _Optional[str] = ..., origin: _Optional[_Union[ModelOrigin, str]] = ..., num_parameters: _Optional[int] = ..., vocab_size: _Optional[int] = ..., max_positions: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class BenchmarkDescription(_message.Message):
    __slots__ = ("name", "title", "num_problems", "is_benchmark", "verification", "origin")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    NUM_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    IS_BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    num_problems: int
    is_benchmark: bool
    verification: str
    origin: ProblemSetOrigin
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., num_problems: _Optional[int] = ..., is_benchmark: _Optional[bool] = ..., verification: _Optional[str] = ..., origin: _Optional[_Union[ProblemSetOrigin, str]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "hub_allow")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    HUB_ALLOW_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelDescription]
    hub_allow: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelDescription, _Mapping]]] = ..., hub_allow: _Optional[_Iterable[str]] = ...) -> None: ...

class ListBenchmarksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBenchmarksResponse(_message.Message):
    __slots__ = ("benchmarks",)
    BENCHMARKS_FIELD_NUMBER: _ClassVar[int]
    benchmarks: _containers.RepeatedCompositeFieldContainer[BenchmarkDescription]
    def __init__(self, benchmarks: _Optional[_Iterable[_Union[BenchmarkDescription, _Mapping]]] = ...) -> None: ...
