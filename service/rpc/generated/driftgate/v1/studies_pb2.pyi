import datetime

from service.rpc.generated.driftgate.v1 import jobs_pb2 as _jobs_pb2
from service.rpc.generated.driftgate.v1 import spec_pb2 as _spec_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StudyState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STUDY_STATE_UNSPECIFIED: _ClassVar[StudyState]
    STUDY_STATE_RUNNING: _ClassVar[StudyState]
    STUDY_STATE_PAUSED: _ClassVar[StudyState]
    STUDY_STATE_CANCELLING: _ClassVar[StudyState]
    STUDY_STATE_CANCELLED: _ClassVar[StudyState]
    STUDY_STATE_COMPLETED: _ClassVar[StudyState]
STUDY_STATE_UNSPECIFIED: StudyState
STUDY_STATE_RUNNING: StudyState
STUDY_STATE_PAUSED: StudyState
STUDY_STATE_CANCELLING: StudyState
STUDY_STATE_CANCELLED: StudyState
STUDY_STATE_COMPLETED: StudyState

class StudySpec(_message.Message):
    __slots__ = ("name", "base", "arms", "seeds", "baseline", "contrast", "max_active_jobs", "stop_when_arm_collapses", "collapse_below", "budget_tokens", "smallest_difference", "assumed_seed_sd")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_JOBS_FIELD_NUMBER: _ClassVar[int]
    STOP_WHEN_ARM_COLLAPSES_FIELD_NUMBER: _ClassVar[int]
    COLLAPSE_BELOW_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    ASSUMED_SEED_SD_FIELD_NUMBER: _ClassVar[int]
    name: str
    base: _spec_pb2.JobSpec
    arms: _containers.RepeatedCompositeFieldContainer[StudyArmSpec]
    seeds: _containers.RepeatedScalarFieldContainer[int]
    baseline: str
    contrast: StudyContrast
    max_active_jobs: int
    stop_when_arm_collapses: bool
    collapse_below: float
    budget_tokens: int
    smallest_difference: float
    assumed_seed_sd: float
    def __init__(self, name: _Optional[str] = ..., base: _Optional[_Union[_spec_pb2.JobSpec, _Mapping]] = ..., arms: _Optional[_Iterable[_Union[StudyArmSpec, _Mapping]]] = ..., seeds: _Optional[_Iterable[int]] = ..., baseline: _Optional[str] = ..., contrast: _Optional[_Union[StudyContrast, _Mapping]] = ..., max_active_jobs: _Optional[int] = ..., stop_when_arm_collapses: _Optional[bool] = ..., collapse_below: _Optional[float] = ..., budget_tokens: _Optional[int] = ..., smallest_difference: _Optional[float] = ..., assumed_seed_sd: _Optional[float] = ...) -> None: ...

class StudyArmSpec(_message.Message):
    __slots__ = ("name", "preset", "changes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    name: str
    preset: str
    changes: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., preset: _Optional[str] = ..., changes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class StudyContrast(_message.Message):
    __slots__ = ("arm", "minus", "metric")
    ARM_FIELD_NUMBER: _ClassVar[int]
    MINUS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    arm: str
    minus: str
    metric: str
    def __init__(self, arm: _Optional[str] = ..., minus: _Optional[str] = ..., metric: _Optional[str] = ...) -> None: ...

class Study(_message.Message):
    __slots__ = ("id", "name", "state", "reason", "progress", "arms", "spec", "version", "created_at", "updated_at", "finished_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    state: StudyState
    reason: str
    progress: StudyProgress
    arms: _containers.RepeatedCompositeFieldContainer[StudyArm]
    spec: StudySpec
    version: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[StudyState, str]] = ..., reason: _Optional[str] = ..., progress: _Optional[_Union[StudyProgress, _Mapping]] = ..., arms: _Optional[_Iterable[_Union[StudyArm, _Mapping]]] = ..., spec: _Optional[_Union[StudySpec, _Mapping]] = ..., version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StudySummary(_message.Message):
    __slots__ = ("id", "name", "state", "reason", "arms", "num_seeds", "progress", "created_at", "updated_at", "finished_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    NUM_SEEDS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    state: StudyState
    reason: str
    arms: _containers.RepeatedScalarFieldContainer[str]
    num_seeds: int
    progress: StudyProgress
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[StudyState, str]] = ..., reason: _Optional[str] = ..., arms: _Optional[_Iterable[str]] = ..., num_seeds: _Optional[int] = ..., progress: _Optional[_Union[StudyProgress, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StudyProgress(_message.Message):
    __slots__ = ("num_runs", "num_pending", "num_active", "num_succeeded", "num_failed", "num_cancelled", "num_deleted", "step", "total_steps")
    NUM_RUNS_FIELD_NUMBER: _ClassVar[int]
    NUM_PENDING_FIELD_NUMBER: _ClassVar[int]
    NUM_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    NUM_SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    NUM_FAILED_FIELD_NUMBER: _ClassVar[int]
    NUM_CANCELLED_FIELD_NUMBER: _ClassVar[int]
    NUM_DELETED_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    num_runs: int
    num_pending: int
    num_active: int
    num_succeeded: int
    num_failed: int
    num_cancelled: int
    num_deleted: int
    step: int
    total_steps: int
    def __init__(self, num_runs: _Optional[int] = ..., num_pending: _Optional[int] = ..., num_active: _Optional[int] = ..., num_succeeded: _Optional[int] = ..., num_failed: _Optional[int] = ..., num_cancelled: _Optional[int] = ..., num_deleted: _Optional[int] = ..., step: _Optional[int] = ..., total_steps: _Optional[int] = ...) -> None: ...

class StudyArm(_message.Message):
    __slots__ = ("name", "num_collapsed", "runs")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUM_COLLAPSED_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    name: str
    num_collapsed: int
    runs: _containers.RepeatedCompositeFieldContainer[StudyRun]
    def __init__(self, name: _Optional[str] = ..., num_collapsed: _Optional[int] = ..., runs: _Optional[_Iterable[_Union[StudyRun, _Mapping]]] = ...) -> None: ...

class StudyRun(_message.Message):
    __slots__ = ("seed", "job_id", "state", "step", "total_steps", "collapsed", "failure_code")
    SEED_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    COLLAPSED_FIELD_NUMBER: _ClassVar[int]
    FAILURE_CODE_FIELD_NUMBER: _ClassVar[int]
    seed: int
    job_id: str
    state: str
    step: int
    total_steps: int
    collapsed: bool
    failure_code: str
    def __init__(self, seed: _Optional[int] = ..., job_id: _Optional[str] = ..., state: _Optional[str] = ..., step: _Optional[int] = ..., total_steps: _Optional[int] = ..., collapsed: _Optional[bool] = ..., failure_code: _Optional[str] = ...) -> None: ...

class StudyEvent(_message.Message):
    __slots__ = ("seq", "at", "type", "state", "message")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at: _timestamp_pb2.Timestamp
    type: str
    state: StudyState
    message: str
    def __init__(self, seq: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[str] = ..., state: _Optional[_Union[StudyState, str]] = ..., message: _Optional[str] = ...) -> None: ...

class StudyPlan(_message.Message):
    __slots__ = ("spec", "num_jobs", "arms", "tokens", "flops", "seconds", "seconds_side_by_side", "resolution", "notes")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    NUM_JOBS_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_SIDE_BY_SIDE_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    spec: StudySpec
    num_jobs: int
    arms: _containers.RepeatedCompositeFieldContainer[PlannedArm]
    tokens: int
    flops: float
    seconds: float
    seconds_side_by_side: float
    resolution: _containers.RepeatedCompositeFieldContainer[PlannedResolution]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, spec: _Optional[_Union[StudySpec, _Mapping]] = ..., num_jobs: _Optional[int] = ..., arms: _Optional[_Iterable[_Union[PlannedArm, _Mapping]]] = ..., tokens: _Optional[int] = ..., flops: _Optional[float] = ..., seconds: _Optional[float] = ..., seconds_side_by_side: _Optional[float] = ..., resolution: _Optional[_Iterable[_Union[PlannedResolution, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class PlannedArm(_message.Message):
    __slots__ = ("arm", "tokens", "flops", "seconds", "warnings")
    ARM_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    arm: str
    tokens: int
    flops: float
    seconds: float
    warnings: _containers.RepeatedCompositeFieldContainer[_jobs_pb2.SpecWarning]
    def __init__(self, arm: _Optional[str] = ..., tokens: _Optional[int] = ..., flops: _Optional[float] = ..., seconds: _Optional[float] = ..., warnings: _Optional[_Iterable[_Union[_jobs_pb2.SpecWarning, _Mapping]]] = ...) -> None: ...

class PlannedResolution(_message.Message):
    __slots__ = ("metric", "smallest_p_value", "can_resolve", "smallest_detectable_difference", "expected_half_width", "seeds_needed")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    CAN_RESOLVE_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_DETECTABLE_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_HALF_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SEEDS_NEEDED_FIELD_NUMBER: _ClassVar[int]
    metric: str
    smallest_p_value: float
    can_resolve: bool
    smallest_detectable_difference: float
    expected_half_width: float
    seeds_needed: int
    def __init__(self, metric: _Optional[str] = ..., smallest_p_value: _Optional[float] = ..., can_resolve: _Optional[bool] = ..., smallest_detectable_difference: _Optional[float] = ..., expected_half_width: _Optional[float] = ..., seeds_needed: _Optional[int] = ...) -> None: ...

class VarianceParts(_message.Message):
    __slots__ = ("seed_sd", "sampling_sd", "problem_sd")
    SEED_SD_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_SD_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_SD_FIELD_NUMBER: _ClassVar[int]
    seed_sd: float
    sampling_sd: float
    problem_sd: float
    def __init__(self, seed_sd: _Optional[float] = ..., sampling_sd: _Optional[float] = ..., problem_sd: _Optional[float] = ...) -> None: ...

class ArmFigures(_message.Message):
    __slots__ = ("num_seeds", "mean", "low", "high", "sd", "least", "greatest", "seeds", "values", "parts")
    NUM_SEEDS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SD_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    GREATEST_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    num_seeds: int
    mean: float
    low: float
    high: float
    sd: float
    least: float
    greatest: float
    seeds: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    parts: VarianceParts
    def __init__(self, num_seeds: _Optional[int] = ..., mean: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., sd: _Optional[float] = ..., least: _Optional[float] = ..., greatest: _Optional[float] = ..., seeds: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ..., parts: _Optional[_Union[VarianceParts, _Mapping]] = ...) -> None: ...

class ArmVerdict(_message.Message):
    __slots__ = ("arm", "num_runs", "num_ended", "num_collapsed", "collapse_rate", "metrics")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ArmFigures
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ArmFigures, _Mapping]] = ...) -> None: ...
    ARM_FIELD_NUMBER: _ClassVar[int]
    NUM_RUNS_FIELD_NUMBER: _ClassVar[int]
    NUM_ENDED_FIELD_NUMBER: _ClassVar[int]
    NUM_COLLAPSED_FIELD_NUMBER: _ClassVar[int]
    COLLAPSE_RATE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    arm: str
    num_runs: int
    num_ended: int
    num_collapsed: int
    collapse_rate: float
    metrics: _containers.MessageMap[str, ArmFigures]
    def __init__(self, arm: _Optional[str] = ..., num_runs: _Optional[int] = ..., num_ended: _Optional[int] = ..., num_collapsed: _Optional[int] = ..., collapse_rate: _Optional[float] = ..., metrics: _Optional[_Mapping[str, ArmFigures]] = ...) -> None: ...

class StudyDifference(_message.Message):
    __slots__ = ("arm", "minus", "metric", "pre_registered", "num_pairs", "estimate", "low", "high", "sd", "p_value", "adjusted_p_value", "smallest_p_value", "can_resolve", "is_found", "smallest_detectable_difference", "seeds_needed", "parts", "reading")
    ARM_FIELD_NUMBER: _ClassVar[int]
    MINUS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    PRE_REGISTERED_FIELD_NUMBER: _ClassVar[int]
    NUM_PAIRS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SD_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTED_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    CAN_RESOLVE_FIELD_NUMBER: _ClassVar[int]
    IS_FOUND_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_DETECTABLE_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    SEEDS_NEEDED_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    arm: str
    minus: str
    metric: str
    pre_registered: bool
    num_pairs: int
    estimate: float
    low: float
    high: float
    sd: float
    p_value: float
    adjusted_p_value: float
    smallest_p_value: float
    can_resolve: bool
    is_found: bool
    smallest_detectable_difference: float
    seeds_needed: int
    parts: VarianceParts
    reading: str
    def __init__(self, arm: _Optional[str] = ..., minus: _Optional[str] = ..., metric: _Optional[str] = ..., pre_registered: _Optional[bool] = ..., num_pairs: _Optional[int] = ..., estimate: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., sd: _Optional[float] = ..., p_value: _Optional[float] = ..., adjusted_p_value: _Optional[float] = ..., smallest_p_value: _Optional[float] = ..., can_resolve: _Optional[bool] = ..., is_found: _Optional[bool] = ..., smallest_detectable_difference: _Optional[float] = ..., seeds_needed: _Optional[int] = ..., parts: _Optional[_Union[VarianceParts, _Mapping]] = ..., reading: _Optional[str] = ...) -> None: ...

class LeftOutRun(_message.Message):
    __slots__ = ("arm", "seed", "reason")
    ARM_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    arm: str
    seed: int
    reason: str
    def __init__(self, arm: _Optional[str] = ..., seed: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class StudyVerdict(_message.Message):
    __slots__ = ("study_id", "state", "is_final", "baseline", "arms", "contrast", "exploratory", "left_out", "notes")
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    EXPLORATORY_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    state: StudyState
    is_final: bool
    baseline: str
    arms: _containers.RepeatedCompositeFieldContainer[ArmVerdict]
    contrast: StudyDifference
    exploratory: _containers.RepeatedCompositeFieldContainer[StudyDifference]
    left_out: _containers.RepeatedCompositeFieldContainer[LeftOutRun]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, study_id: _Optional[str] = ..., state: _Optional[_Union[StudyState, str]] = ..., is_final: _Optional[bool] = ..., baseline: _Optional[str] = ..., arms: _Optional[_Iterable[_Union[ArmVerdict, _Mapping]]] = ..., contrast: _Optional[_Union[StudyDifference, _Mapping]] = ..., exploratory: _Optional[_Iterable[_Union[StudyDifference, _Mapping]]] = ..., left_out: _Optional[_Iterable[_Union[LeftOutRun, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class StudyArmPreset(_message.Message):
    __slots__ = ("name", "description", "changes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    changes: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., changes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CreateStudyRequest(_message.Message):
    __slots__ = ("spec", "request_id", "validate_only")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    spec: StudySpec
    request_id: str
    validate_only: bool
    def __init__(self, spec: _Optional[_Union[StudySpec, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class CreateStudyResponse(_message.Message):
    __slots__ = ("study", "plan")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    study: Study
    plan: StudyPlan
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ..., plan: _Optional[_Union[StudyPlan, _Mapping]] = ...) -> None: ...

class GetStudyRequest(_message.Message):
    __slots__ = ("study_id",)
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    def __init__(self, study_id: _Optional[str] = ...) -> None: ...

class GetStudyResponse(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: Study
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ...) -> None: ...

class ListStudiesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStudiesResponse(_message.Message):
    __slots__ = ("studies", "next_page_token")
    STUDIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    studies: _containers.RepeatedCompositeFieldContainer[StudySummary]
    next_page_token: str
    def __init__(self, studies: _Optional[_Iterable[_Union[StudySummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelStudyRequest(_message.Message):
    __slots__ = ("study_id",)
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    def __init__(self, study_id: _Optional[str] = ...) -> None: ...

class CancelStudyResponse(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: Study
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ...) -> None: ...

class PauseStudyRequest(_message.Message):
    __slots__ = ("study_id",)
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    def __init__(self, study_id: _Optional[str] = ...) -> None: ...

class PauseStudyResponse(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: Study
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ...) -> None: ...

class ResumeStudyRequest(_message.Message):
    __slots__ = ("study_id",)
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    def __init__(self, study_id: _Optional[str] = ...) -> None: ...

class ResumeStudyResponse(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: Study
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ...) -> None: ...

class DeleteStudyRequest(_message.Message):
    __slots__ = ("study_id",)
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    def __init__(self, study_id: _Optional[str] = ...) -> None: ...

class DeleteStudyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListStudyEventsRequest(_message.Message):
    __slots__ = ("study_id", "after_seq", "page_size")
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    after_seq: int
    page_size: int
    def __init__(self, study_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListStudyEventsResponse(_message.Message):
    __slots__ = ("events", "next_after")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[StudyEvent]
    next_after: int
    def __init__(self, events: _Optional[_Iterable[_Union[StudyEvent, _Mapping]]] = ..., next_after: _Optional[int] = ...) -> None: ...

class GetStudyVerdictRequest(_message.Message):
    __slots__ = ("study_id",)
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    def __init__(self, study_id: _Optional[str] = ...) -> None: ...

class GetStudyVerdictResponse(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: StudyVerdict
    def __init__(self, verdict: _Optional[_Union[StudyVerdict, _Mapping]] = ...) -> None: ...

class ListStudyPresetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListStudyPresetsResponse(_message.Message):
    __slots__ = ("presets",)
    PRESETS_FIELD_NUMBER: _ClassVar[int]
    presets: _containers.RepeatedCompositeFieldContainer[StudyArmPreset]
    def __init__(self, presets: _Optional[_Iterable[_Union[StudyArmPreset, _Mapping]]] = ...) -> None: ...
