from service.rpc.generated.driftgate.v1 import evaluations_pb2 as _evaluations_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ComparedJob(_message.Message):
    __slots__ = ("job_id", "name", "stage", "pass_at_k")
    class PassAtKEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _evaluations_pb2.PassEstimate
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_evaluations_pb2.PassEstimate, _Mapping]] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PASS_AT_K_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    name: str
    stage: str
    pass_at_k: _containers.MessageMap[str, _evaluations_pb2.PassEstimate]
    def __init__(self, job_id: _Optional[str] = ..., name: _Optional[str] = ..., stage: _Optional[str] = ..., pass_at_k: _Optional[_Mapping[str, _evaluations_pb2.PassEstimate]] = ...) -> None: ...

class PairedFigures(_message.Message):
    __slots__ = ("difference", "p_value", "adjusted_p_value", "wins", "losses", "ties", "smallest_resolvable_difference")
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTED_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    WINS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    TIES_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_RESOLVABLE_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    difference: _evaluations_pb2.PassEstimate
    p_value: float
    adjusted_p_value: float
    wins: int
    losses: int
    ties: int
    smallest_resolvable_difference: float
    def __init__(self, difference: _Optional[_Union[_evaluations_pb2.PassEstimate, _Mapping]] = ..., p_value: _Optional[float] = ..., adjusted_p_value: _Optional[float] = ..., wins: _Optional[int] = ..., losses: _Optional[int] = ..., ties: _Optional[int] = ..., smallest_resolvable_difference: _Optional[float] = ...) -> None: ...

class ComparedPair(_message.Message):
    __slots__ = ("job_id", "comparable", "reasons", "benchmarks", "mean")
    class BenchmarksEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PairedFigures
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PairedFigures, _Mapping]] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    COMPARABLE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    BENCHMARKS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    comparable: bool
    reasons: _containers.RepeatedScalarFieldContainer[str]
    benchmarks: _containers.MessageMap[str, PairedFigures]
    mean: PairedFigures
    def __init__(self, job_id: _Optional[str] = ..., comparable: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ..., benchmarks: _Optional[_Mapping[str, PairedFigures]] = ..., mean: _Optional[_Union[PairedFigures, _Mapping]] = ...) -> None: ...

class SpecDifference(_message.Message):
    __slots__ = ("field", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: str
    values: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    def __init__(self, field: _Optional[str] = ..., values: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("k", "reference_job_id", "jobs", "pairs", "spec_differences", "note")
    K_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    k: int
    reference_job_id: str
    jobs: _containers.RepeatedCompositeFieldContainer[ComparedJob]
    pairs: _containers.RepeatedCompositeFieldContainer[ComparedPair]
    spec_differences: _containers.RepeatedCompositeFieldContainer[SpecDifference]
    note: str
    def __init__(self, k: _Optional[int] = ..., reference_job_id: _Optional[str] = ..., jobs: _Optional[_Iterable[_Union[ComparedJob, _Mapping]]] = ..., pairs: _Optional[_Iterable[_Union[ComparedPair, _Mapping]]] = ..., spec_differences: _Optional[_Iterable[_Union[SpecDifference, _Mapping]]] = ..., note: _Optional[str] = ...) -> None: ...

class PlannedBenchmark(_message.Message):
    __slots__ = ("benchmark", "samples_per_problem", "tokens", "share_of_variance")
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    SHARE_OF_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    benchmark: str
    samples_per_problem: int
    tokens: int
    share_of_variance: float
    def __init__(self, benchmark: _Optional[str] = ..., samples_per_problem: _Optional[int] = ..., tokens: _Optional[int] = ..., share_of_variance: _Optional[float] = ...) -> None: ...

class SamplePlan(_message.Message):
    __slots__ = ("job_id", "stage", "k", "difference", "power", "reaches_difference", "smallest_resolvable_difference", "smallest_resolvable_difference_now", "benchmarks", "tokens")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    REACHES_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_RESOLVABLE_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_RESOLVABLE_DIFFERENCE_NOW_FIELD_NUMBER: _ClassVar[int]
    BENCHMARKS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    stage: str
    k: int
    difference: float
    power: float
    reaches_difference: bool
    smallest_resolvable_difference: float
    smallest_resolvable_difference_now: float
    benchmarks: _containers.RepeatedCompositeFieldContainer[PlannedBenchmark]
    tokens: int
    def __init__(self, job_id: _Optional[str] = ..., stage: _Optional[str] = ..., k: _Optional[int] = ..., difference: _Optional[float] = ..., power: _Optional[float] = ..., reaches_difference: _Optional[bool] = ..., smallest_resolvable_difference: _Optional[float] = ..., smallest_resolvable_difference_now: _Optional[float] = ..., benchmarks: _Optional[_Iterable[_Union[PlannedBenchmark, _Mapping]]] = ..., tokens: _Optional[int] = ...) -> None: ...
