import datetime

from service.rpc.generated.driftgate.v1 import spec_pb2 as _spec_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_STARTING: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_PAUSING: _ClassVar[JobState]
    JOB_STATE_PAUSED: _ClassVar[JobState]
    JOB_STATE_CANCELLING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]

class JobPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_PHASE_UNSPECIFIED: _ClassVar[JobPhase]
    JOB_PHASE_LOADING: _ClassVar[JobPhase]
    JOB_PHASE_BASELINE_EVALUATION: _ClassVar[JobPhase]
    JOB_PHASE_TRAINING: _ClassVar[JobPhase]
    JOB_PHASE_CHECKPOINTING: _ClassVar[JobPhase]
    JOB_PHASE_EVALUATING: _ClassVar[JobPhase]
    JOB_PHASE_EXPORTING: _ClassVar[JobPhase]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_STARTING: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_PAUSING: JobState
JOB_STATE_PAUSED: JobState
JOB_STATE_CANCELLING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
JOB_PHASE_UNSPECIFIED: JobPhase
JOB_PHASE_LOADING: JobPhase
JOB_PHASE_BASELINE_EVALUATION: JobPhase
JOB_PHASE_TRAINING: JobPhase
JOB_PHASE_CHECKPOINTING: JobPhase
JOB_PHASE_EVALUATING: JobPhase
JOB_PHASE_EXPORTING: JobPhase

class CreateJobRequest(_message.Message):
    __slots__ = ("spec", "request_id", "validate_only")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    spec: _spec_pb2.JobSpec
    request_id: str
    validate_only: bool
    def __init__(self, spec: _Optional[_Union[_spec_pb2.JobSpec, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class CreateJobResponse(_message.Message):
    __slots__ = ("job", "plan")
    JOB_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    job: Job
    plan: Plan
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id", "if_version_not", "wait")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_NOT_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    if_version_not: int
    wait: _duration_pb2.Duration
    def __init__(self, job_id: _Optional[str] = ..., if_version_not: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class BatchGetJobsRequest(_message.Message):
    __slots__ = ("job_ids",)
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchGetJobsResponse(_message.Message):
    __slots__ = ("jobs", "missing")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    missing: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states", "kinds", "labels", "model", "created_from", "created_before", "order_by")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[JobState]
    kinds: _containers.RepeatedScalarFieldContainer[_spec_pb2.JobKind]
    labels: _containers.ScalarMap[str, str]
    model: str
    created_from: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    order_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[JobState, str]]] = ..., kinds: _Optional[_Iterable[_Union[_spec_pb2.JobKind, str]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., model: _Optional[str] = ..., created_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateJobRequest(_message.Message):
    __slots__ = ("job_id", "labels", "removed_labels", "priority", "if_version")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_LABELS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    labels: _containers.ScalarMap[str, str]
    removed_labels: _containers.RepeatedScalarFieldContainer[str]
    priority: int
    if_version: int
    def __init__(self, job_id: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., removed_labels: _Optional[_Iterable[str]] = ..., priority: _Optional[int] = ..., if_version: _Optional[int] = ...) -> None: ...

class UpdateJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class PauseJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class PauseJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ResumeJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class ResumeJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class DeleteJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class DeleteJobResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListChangesRequest(_message.Message):
    __slots__ = ("after", "page_size", "wait")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    after: str
    page_size: int
    wait: _duration_pb2.Duration
    def __init__(self, after: _Optional[str] = ..., page_size: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ListChangesResponse(_message.Message):
    __slots__ = ("changes", "next_after")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[JobChange]
    next_after: str
    def __init__(self, changes: _Optional[_Iterable[_Union[JobChange, _Mapping]]] = ..., next_after: _Optional[str] = ...) -> None: ...

class JobChange(_message.Message):
    __slots__ = ("job_id", "job")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    job: Job
    def __init__(self, job_id: _Optional[str] = ..., job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("job_id", "after_seq", "page_size")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    after_seq: int
    page_size: int
    def __init__(self, job_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_after")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    next_after: int
    def __init__(self, events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ..., next_after: _Optional[int] = ...) -> None: ...

class ListAttemptsRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class ListAttemptsResponse(_message.Message):
    __slots__ = ("job_id", "attempts")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    def __init__(self, job_id: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job_id", "if_version_not")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_NOT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    if_version_not: int
    def __init__(self, job_id: _Optional[str] = ..., if_version_not: _Optional[int] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class StreamEventsRequest(_message.Message):
    __slots__ = ("job_id", "after_seq")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    after_seq: int
    def __init__(self, job_id: _Optional[str] = ..., after_seq: _Optional[int] = ...) -> None: ...

class StreamEventsResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: JobEvent
    def __init__(self, event: _Optional[_Union[JobEvent, _Mapping]] = ...) -> None: ...

class StreamChangesRequest(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: str
    def __init__(self, after: _Optional[str] = ...) -> None: ...

class StreamChangesResponse(_message.Message):
    __slots__ = ("change", "after")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    change: JobChange
    after: str
    def __init__(self, change: _Optional[_Union[JobChange, _Mapping]] = ..., after: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "name", "state", "phase", "progress", "attempt", "cancel_requested_at", "failure", "warnings", "labels", "spec", "spec_version", "version", "created_at", "updated_at", "started_at", "finished_at", "priority")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SPEC_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    state: JobState
    phase: JobPhase
    progress: Progress
    attempt: int
    cancel_requested_at: _timestamp_pb2.Timestamp
    failure: Failure
    warnings: _containers.RepeatedCompositeFieldContainer[SpecWarning]
    labels: _containers.ScalarMap[str, str]
    spec: _spec_pb2.JobSpec
    spec_version: int
    version: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    priority: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., phase: _Optional[_Union[JobPhase, str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., attempt: _Optional[int] = ..., cancel_requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[SpecWarning, _Mapping]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., spec: _Optional[_Union[_spec_pb2.JobSpec, _Mapping]] = ..., spec_version: _Optional[int] = ..., version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priority: _Optional[int] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("seq", "at", "type", "state", "attempt", "message")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at: _timestamp_pb2.Timestamp
    type: str
    state: JobState
    attempt: int
    message: str
    def __init__(self, seq: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., attempt: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("number", "worker", "started_at", "ended_at", "resumed_from_update", "newest_checkpoint_update", "outcome")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FROM_UPDATE_FIELD_NUMBER: _ClassVar[int]
    NEWEST_CHECKPOINT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    number: int
    worker: str
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    resumed_from_update: int
    newest_checkpoint_update: int
    outcome: str
    def __init__(self, number: _Optional[int] = ..., worker: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resumed_from_update: _Optional[int] = ..., newest_checkpoint_update: _Optional[int] = ..., outcome: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("step", "total_steps", "update", "total_updates", "evaluated_samples", "samples_to_evaluate")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_UPDATES_FIELD_NUMBER: _ClassVar[int]
    EVALUATED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_TO_EVALUATE_FIELD_NUMBER: _ClassVar[int]
    step: int
    total_steps: int
    update: int
    total_updates: int
    evaluated_samples: int
    samples_to_evaluate: int
    def __init__(self, step: _Optional[int] = ..., total_steps: _Optional[int] = ..., update: _Optional[int] = ..., total_updates: _Optional[int] = ..., evaluated_samples: _Optional[int] = ..., samples_to_evaluate: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "message", "violations")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    violations: _containers.RepeatedCompositeFieldContainer[FieldViolation]
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., violations: _Optional[_Iterable[_Union[FieldViolation, _Mapping]]] = ...) -> None: ...

class FieldViolation(_message.Message):
    __slots__ = ("field", "given", "allowed")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    field: str
    given: str
    allowed: str
    def __init__(self, field: _Optional[str] = ..., given: _Optional[str] = ..., allowed: _Optional[str] = ...) -> None: ...

class SpecWarning(_message.Message):
    __slots__ = ("code", "field", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    field: str
    message: str
    def __init__(self, code: _Optional[str] = ..., field: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("spec", "warnings", "student", "teacher", "memory", "step", "job", "time", "unknown", "trained_parameters", "time_range", "disk")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    STUDENT_FIELD_NUMBER: _ClassVar[int]
    TEACHER_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    TRAINED_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    spec: _spec_pb2.JobSpec
    warnings: _containers.RepeatedCompositeFieldContainer[SpecWarning]
    student: ParameterCounts
    teacher: ParameterCounts
    memory: _containers.RepeatedCompositeFieldContainer[MemoryPlan]
    step: StepWork
    job: JobWork
    time: TimePlan
    unknown: _containers.RepeatedCompositeFieldContainer[UnknownPart]
    trained_parameters: float
    time_range: TimeRange
    disk: DiskPlan
    def __init__(self, spec: _Optional[_Union[_spec_pb2.JobSpec, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[SpecWarning, _Mapping]]] = ..., student: _Optional[_Union[ParameterCounts, _Mapping]] = ..., teacher: _Optional[_Union[ParameterCounts, _Mapping]] = ..., memory: _Optional[_Iterable[_Union[MemoryPlan, _Mapping]]] = ..., step: _Optional[_Union[StepWork, _Mapping]] = ..., job: _Optional[_Union[JobWork, _Mapping]] = ..., time: _Optional[_Union[TimePlan, _Mapping]] = ..., unknown: _Optional[_Iterable[_Union[UnknownPart, _Mapping]]] = ..., trained_parameters: _Optional[float] = ..., time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., disk: _Optional[_Union[DiskPlan, _Mapping]] = ...) -> None: ...

class ParameterCounts(_message.Message):
    __slots__ = ("embedding", "body", "head", "total", "tied")
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TIED_FIELD_NUMBER: _ClassVar[int]
    embedding: float
    body: float
    head: float
    total: float
    tied: bool
    def __init__(self, embedding: _Optional[float] = ..., body: _Optional[float] = ..., head: _Optional[float] = ..., total: _Optional[float] = ..., tied: _Optional[bool] = ...) -> None: ...

class MemoryPlan(_message.Message):
    __slots__ = ("dtype", "student_weights_bytes", "teacher_weights_bytes", "optimizer_states_bytes", "gradients_bytes", "activations_bytes", "targets_bytes", "head_chunk_bytes", "rollout_cache_bytes", "rollout_logits_bytes", "evaluation_cache_bytes", "peak_bytes", "engine_weights_bytes")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    STUDENT_WEIGHTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    TEACHER_WEIGHTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_STATES_BYTES_FIELD_NUMBER: _ClassVar[int]
    GRADIENTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_BYTES_FIELD_NUMBER: _ClassVar[int]
    TARGETS_BYTES_FIELD_NUMBER: _ClassVar[int]
    HEAD_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_LOGITS_BYTES_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENGINE_WEIGHTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    dtype: str
    student_weights_bytes: float
    teacher_weights_bytes: float
    optimizer_states_bytes: float
    gradients_bytes: float
    activations_bytes: float
    targets_bytes: float
    head_chunk_bytes: float
    rollout_cache_bytes: float
    rollout_logits_bytes: float
    evaluation_cache_bytes: float
    peak_bytes: float
    engine_weights_bytes: float
    def __init__(self, dtype: _Optional[str] = ..., student_weights_bytes: _Optional[float] = ..., teacher_weights_bytes: _Optional[float] = ..., optimizer_states_bytes: _Optional[float] = ..., gradients_bytes: _Optional[float] = ..., activations_bytes: _Optional[float] = ..., targets_bytes: _Optional[float] = ..., head_chunk_bytes: _Optional[float] = ..., rollout_cache_bytes: _Optional[float] = ..., rollout_logits_bytes: _Optional[float] = ..., evaluation_cache_bytes: _Optional[float] = ..., peak_bytes: _Optional[float] = ..., engine_weights_bytes: _Optional[float] = ...) -> None: ...

class Work(_message.Message):
    __slots__ = ("tokens", "flops")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    tokens: float
    flops: float
    def __init__(self, tokens: _Optional[float] = ..., flops: _Optional[float] = ...) -> None: ...

class StepWork(_message.Message):
    __slots__ = ("rollout", "teacher_scoring", "student_scoring", "updates", "total")
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    TEACHER_SCORING_FIELD_NUMBER: _ClassVar[int]
    STUDENT_SCORING_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    rollout: Work
    teacher_scoring: Work
    student_scoring: Work
    updates: Work
    total: Work
    def __init__(self, rollout: _Optional[_Union[Work, _Mapping]] = ..., teacher_scoring: _Optional[_Union[Work, _Mapping]] = ..., student_scoring: _Optional[_Union[Work, _Mapping]] = ..., updates: _Optional[_Union[Work, _Mapping]] = ..., total: _Optional[_Union[Work, _Mapping]] = ...) -> None: ...

class JobWork(_message.Message):
    __slots__ = ("training", "evaluation", "total")
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    training: Work
    evaluation: Work
    total: Work
    def __init__(self, training: _Optional[_Union[Work, _Mapping]] = ..., evaluation: _Optional[_Union[Work, _Mapping]] = ..., total: _Optional[_Union[Work, _Mapping]] = ...) -> None: ...

class TimePlan(_message.Message):
    __slots__ = ("seconds_per_step", "training_seconds", "evaluation_seconds", "total_seconds", "flops_per_second", "rate_source")
    SECONDS_PER_STEP_FIELD_NUMBER: _ClassVar[int]
    TRAINING_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FLOPS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    RATE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    seconds_per_step: float
    training_seconds: float
    evaluation_seconds: float
    total_seconds: float
    flops_per_second: float
    rate_source: str
    def __init__(self, seconds_per_step: _Optional[float] = ..., training_seconds: _Optional[float] = ..., evaluation_seconds: _Optional[float] = ..., total_seconds: _Optional[float] = ..., flops_per_second: _Optional[float] = ..., rate_source: _Optional[str] = ...) -> None: ...

class TimeRange(_message.Message):
    __slots__ = ("low_seconds", "high_seconds", "assumption")
    LOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    HIGH_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ASSUMPTION_FIELD_NUMBER: _ClassVar[int]
    low_seconds: float
    high_seconds: float
    assumption: str
    def __init__(self, low_seconds: _Optional[float] = ..., high_seconds: _Optional[float] = ..., assumption: _Optional[str] = ...) -> None: ...

class DiskPlan(_message.Message):
    __slots__ = ("models_bytes", "checkpoint_bytes", "checkpoints_bytes")
    MODELS_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    models_bytes: float
    checkpoint_bytes: float
    checkpoints_bytes: float
    def __init__(self, models_bytes: _Optional[float] = ..., checkpoint_bytes: _Optional[float] = ..., checkpoints_bytes: _Optional[float] = ...) -> None: ...

class UnknownPart(_message.Message):
    __slots__ = ("part", "reason")
    PART_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    part: str
    reason: str
    def __init__(self, part: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
