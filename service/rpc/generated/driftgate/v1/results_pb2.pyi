from service.rpc.generated.driftgate.v1 import comparisons_pb2 as _comparisons_pb2
from service.rpc.generated.driftgate.v1 import evaluations_pb2 as _evaluations_pb2
from service.rpc.generated.driftgate.v1 import gate_simulations_pb2 as _gate_simulations_pb2
from service.rpc.generated.driftgate.v1 import gradients_pb2 as _gradients_pb2
from service.rpc.generated.driftgate.v1 import metrics_pb2 as _metrics_pb2
from service.rpc.generated.driftgate.v1 import spec_pb2 as _spec_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetMetricsRequest(_message.Message):
    __slots__ = ("job_id", "names", "after_update")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    AFTER_UPDATE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    names: _containers.RepeatedScalarFieldContainer[str]
    after_update: int
    def __init__(self, job_id: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., after_update: _Optional[int] = ...) -> None: ...

class GetMetricsResponse(_message.Message):
    __slots__ = ("metrics",)
    METRICS_FIELD_NUMBER: _ClassVar[int]
    metrics: _metrics_pb2.JobMetrics
    def __init__(self, metrics: _Optional[_Union[_metrics_pb2.JobMetrics, _Mapping]] = ...) -> None: ...

class QueryMetricsRequest(_message.Message):
    __slots__ = ("job_ids", "keys", "x", "max_points", "x_from", "x_to")
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    X_FROM_FIELD_NUMBER: _ClassVar[int]
    X_TO_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    keys: _containers.RepeatedScalarFieldContainer[str]
    x: _metrics_pb2.MetricX
    max_points: int
    x_from: float
    x_to: float
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ..., keys: _Optional[_Iterable[str]] = ..., x: _Optional[_Union[_metrics_pb2.MetricX, str]] = ..., max_points: _Optional[int] = ..., x_from: _Optional[float] = ..., x_to: _Optional[float] = ...) -> None: ...

class QueryMetricsResponse(_message.Message):
    __slots__ = ("x", "series")
    X_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    x: _metrics_pb2.MetricX
    series: _containers.RepeatedCompositeFieldContainer[_metrics_pb2.MetricSeries]
    def __init__(self, x: _Optional[_Union[_metrics_pb2.MetricX, str]] = ..., series: _Optional[_Iterable[_Union[_metrics_pb2.MetricSeries, _Mapping]]] = ...) -> None: ...

class GetLatestMetricsRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetLatestMetricsResponse(_message.Message):
    __slots__ = ("job_id", "metrics")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _metrics_pb2.LatestMetric
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_metrics_pb2.LatestMetric, _Mapping]] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    metrics: _containers.MessageMap[str, _metrics_pb2.LatestMetric]
    def __init__(self, job_id: _Optional[str] = ..., metrics: _Optional[_Mapping[str, _metrics_pb2.LatestMetric]] = ...) -> None: ...

class GetDriftMapRequest(_message.Message):
    __slots__ = ("job_id", "after_update", "max_rows")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_UPDATE_FIELD_NUMBER: _ClassVar[int]
    MAX_ROWS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    after_update: int
    max_rows: int
    def __init__(self, job_id: _Optional[str] = ..., after_update: _Optional[int] = ..., max_rows: _Optional[int] = ...) -> None: ...

class GetDriftMapResponse(_message.Message):
    __slots__ = ("drift_map",)
    DRIFT_MAP_FIELD_NUMBER: _ClassVar[int]
    drift_map: _metrics_pb2.DriftMap
    def __init__(self, drift_map: _Optional[_Union[_metrics_pb2.DriftMap, _Mapping]] = ...) -> None: ...

class SimulateGateRequest(_message.Message):
    __slots__ = ("job_id", "gate")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    gate: _spec_pb2.GateSpec
    def __init__(self, job_id: _Optional[str] = ..., gate: _Optional[_Union[_spec_pb2.GateSpec, _Mapping]] = ...) -> None: ...

class SimulateGateResponse(_message.Message):
    __slots__ = ("simulation",)
    SIMULATION_FIELD_NUMBER: _ClassVar[int]
    simulation: _gate_simulations_pb2.GateSimulation
    def __init__(self, simulation: _Optional[_Union[_gate_simulations_pb2.GateSimulation, _Mapping]] = ...) -> None: ...

class GetGradientFidelityRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetGradientFidelityResponse(_message.Message):
    __slots__ = ("job_id", "measurements")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    measurements: _containers.RepeatedCompositeFieldContainer[_gradients_pb2.GradientMeasurement]
    def __init__(self, job_id: _Optional[str] = ..., measurements: _Optional[_Iterable[_Union[_gradients_pb2.GradientMeasurement, _Mapping]]] = ...) -> None: ...

class GetResultsRequest(_message.Message):
    __slots__ = ("job_id", "include_problems")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    include_problems: bool
    def __init__(self, job_id: _Optional[str] = ..., include_problems: _Optional[bool] = ...) -> None: ...

class GetResultsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _evaluations_pb2.JobResults
    def __init__(self, results: _Optional[_Union[_evaluations_pb2.JobResults, _Mapping]] = ...) -> None: ...

class ListSamplesRequest(_message.Message):
    __slots__ = ("job_id", "page_size", "page_token", "stage", "benchmark", "problem_id", "verdict")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    page_size: int
    page_token: str
    stage: str
    benchmark: str
    problem_id: str
    verdict: str
    def __init__(self, job_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., stage: _Optional[str] = ..., benchmark: _Optional[str] = ..., problem_id: _Optional[str] = ..., verdict: _Optional[str] = ...) -> None: ...

class ListSamplesResponse(_message.Message):
    __slots__ = ("job_id", "sampling", "samples", "next_page_token")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    sampling: _evaluations_pb2.SamplingInForce
    samples: _containers.RepeatedCompositeFieldContainer[_evaluations_pb2.Sample]
    next_page_token: str
    def __init__(self, job_id: _Optional[str] = ..., sampling: _Optional[_Union[_evaluations_pb2.SamplingInForce, _Mapping]] = ..., samples: _Optional[_Iterable[_Union[_evaluations_pb2.Sample, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetVerdictChangesRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetVerdictChangesResponse(_message.Message):
    __slots__ = ("job_id", "regraded_job_id", "num_samples", "num_changed", "changes")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REGRADED_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    NUM_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    NUM_CHANGED_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    regraded_job_id: str
    num_samples: int
    num_changed: int
    changes: _containers.RepeatedCompositeFieldContainer[_evaluations_pb2.VerdictChange]
    def __init__(self, job_id: _Optional[str] = ..., regraded_job_id: _Optional[str] = ..., num_samples: _Optional[int] = ..., num_changed: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[_evaluations_pb2.VerdictChange, _Mapping]]] = ...) -> None: ...

class GetSamplePlanRequest(_message.Message):
    __slots__ = ("job_id", "difference", "power", "k", "stage")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    difference: float
    power: float
    k: int
    stage: str
    def __init__(self, job_id: _Optional[str] = ..., difference: _Optional[float] = ..., power: _Optional[float] = ..., k: _Optional[int] = ..., stage: _Optional[str] = ...) -> None: ...

class GetSamplePlanResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: _comparisons_pb2.SamplePlan
    def __init__(self, plan: _Optional[_Union[_comparisons_pb2.SamplePlan, _Mapping]] = ...) -> None: ...

class CompareJobsRequest(_message.Message):
    __slots__ = ("job_ids", "k", "stage")
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    k: int
    stage: str
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ..., k: _Optional[int] = ..., stage: _Optional[str] = ...) -> None: ...

class CompareJobsResponse(_message.Message):
    __slots__ = ("comparison",)
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    comparison: _comparisons_pb2.Comparison
    def __init__(self, comparison: _Optional[_Union[_comparisons_pb2.Comparison, _Mapping]] = ...) -> None: ...
