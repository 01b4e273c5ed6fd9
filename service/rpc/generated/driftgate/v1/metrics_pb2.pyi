import datetime

from service.rpc.generated.driftgate.v1 import numbers_pb2 as _numbers_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MetricX(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METRIC_X_UNSPECIFIED: _ClassVar[MetricX]
    METRIC_X_STEP: _ClassVar[MetricX]
    METRIC_X_UPDATE: _ClassVar[MetricX]
    METRIC_X_TOKENS: _ClassVar[MetricX]
    METRIC_X_WALL_TIME: _ClassVar[MetricX]
METRIC_X_UNSPECIFIED: MetricX
METRIC_X_STEP: MetricX
METRIC_X_UPDATE: MetricX
METRIC_X_TOKENS: MetricX
METRIC_X_WALL_TIME: MetricX

class JobMetrics(_message.Message):
    __slots__ = ("job_id", "update", "step", "attempt", "columns")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _numbers_pb2.NullableDoubles
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_numbers_pb2.NullableDoubles, _Mapping]] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    update: _containers.RepeatedScalarFieldContainer[int]
    step: _containers.RepeatedScalarFieldContainer[int]
    attempt: _containers.RepeatedScalarFieldContainer[int]
    columns: _containers.MessageMap[str, _numbers_pb2.NullableDoubles]
    def __init__(self, job_id: _Optional[str] = ..., update: _Optional[_Iterable[int]] = ..., step: _Optional[_Iterable[int]] = ..., attempt: _Optional[_Iterable[int]] = ..., columns: _Optional[_Mapping[str, _numbers_pb2.NullableDoubles]] = ...) -> None: ...

class DriftMap(_message.Message):
    __slots__ = ("job_id", "block_size", "update", "mean_drift_nats", "mean_abs_drift_nats", "num_tokens")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    BLOCK_SIZE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    MEAN_DRIFT_NATS_FIELD_NUMBER: _ClassVar[int]
    MEAN_ABS_DRIFT_NATS_FIELD_NUMBER: _ClassVar[int]
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    block_size: int
    update: _containers.RepeatedScalarFieldContainer[int]
    mean_drift_nats: _containers.RepeatedCompositeFieldContainer[_numbers_pb2.NullableDoubles]
    mean_abs_drift_nats: _containers.RepeatedCompositeFieldContainer[_numbers_pb2.NullableDoubles]
    num_tokens: _containers.RepeatedCompositeFieldContainer[_numbers_pb2.Counts]
    def __init__(self, job_id: _Optional[str] = ..., block_size: _Optional[int] = ..., update: _Optional[_Iterable[int]] = ..., mean_drift_nats: _Optional[_Iterable[_Union[_numbers_pb2.NullableDoubles, _Mapping]]] = ..., mean_abs_drift_nats: _Optional[_Iterable[_Union[_numbers_pb2.NullableDoubles, _Mapping]]] = ..., num_tokens: _Optional[_Iterable[_Union[_numbers_pb2.Counts, _Mapping]]] = ...) -> None: ...

class MetricSeries(_message.Message):
    __slots__ = ("job_id", "key", "num_points", "x", "value", "update", "attempt")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NUM_POINTS_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    key: str
    num_points: int
    x: _containers.RepeatedScalarFieldContainer[float]
    value: _containers.RepeatedScalarFieldContainer[float]
    update: _containers.RepeatedScalarFieldContainer[int]
    attempt: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, job_id: _Optional[str] = ..., key: _Optional[str] = ..., num_points: _Optional[int] = ..., x: _Optional[_Iterable[float]] = ..., value: _Optional[_Iterable[float]] = ..., update: _Optional[_Iterable[int]] = ..., attempt: _Optional[_Iterable[int]] = ...) -> None: ...

class LatestMetric(_message.Message):
    __slots__ = ("value", "update", "step", "attempt", "at")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    value: float
    update: int
    step: int
    attempt: int
    at: _timestamp_pb2.Timestamp
    def __init__(self, value: _Optional[float] = ..., update: _Optional[int] = ..., step: _Optional[int] = ..., attempt: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
