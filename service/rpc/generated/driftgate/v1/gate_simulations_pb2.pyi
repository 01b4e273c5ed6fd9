from service.rpc.generated.driftgate.v1 import spec_pb2 as _spec_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GateSimulation(_message.Message):
    __slots__ = ("job_id", "gate", "inert_below", "overall", "by_reuse_depth", "updates", "suggested_strength", "notes")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    INERT_BELOW_FIELD_NUMBER: _ClassVar[int]
    OVERALL_FIELD_NUMBER: _ClassVar[int]
    BY_REUSE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    gate: _spec_pb2.GateSpec
    inert_below: float
    overall: GateEffect
    by_reuse_depth: _containers.RepeatedCompositeFieldContainer[GateEffectAtDepth]
    updates: _containers.RepeatedCompositeFieldContainer[GateEffectOnUpdate]
    suggested_strength: SuggestedStrength
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_id: _Optional[str] = ..., gate: _Optional[_Union[_spec_pb2.GateSpec, _Mapping]] = ..., inert_below: _Optional[float] = ..., overall: _Optional[_Union[GateEffect, _Mapping]] = ..., by_reuse_depth: _Optional[_Iterable[_Union[GateEffectAtDepth, _Mapping]]] = ..., updates: _Optional[_Iterable[_Union[GateEffectOnUpdate, _Mapping]]] = ..., suggested_strength: _Optional[_Union[SuggestedStrength, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class GateEffect(_message.Message):
    __slots__ = ("num_tokens", "num_units", "gate_std", "gate_min", "gate_max", "effective_sample_size", "share_of_loss_moved", "inert")
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    NUM_UNITS_FIELD_NUMBER: _ClassVar[int]
    GATE_STD_FIELD_NUMBER: _ClassVar[int]
    GATE_MIN_FIELD_NUMBER: _ClassVar[int]
    GATE_MAX_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHARE_OF_LOSS_MOVED_FIELD_NUMBER: _ClassVar[int]
    INERT_FIELD_NUMBER: _ClassVar[int]
    num_tokens: int
    num_units: int
    gate_std: float
    gate_min: float
    gate_max: float
    effective_sample_size: float
    share_of_loss_moved: float
    inert: bool
    def __init__(self, num_tokens: _Optional[int] = ..., num_units: _Optional[int] = ..., gate_std: _Optional[float] = ..., gate_min: _Optional[float] = ..., gate_max: _Optional[float] = ..., effective_sample_size: _Optional[float] = ..., share_of_loss_moved: _Optional[float] = ..., inert: _Optional[bool] = ...) -> None: ...

class GateEffectAtDepth(_message.Message):
    __slots__ = ("num_tokens", "num_units", "gate_std", "gate_min", "gate_max", "effective_sample_size", "share_of_loss_moved", "inert", "reuse_depth", "num_updates")
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    NUM_UNITS_FIELD_NUMBER: _ClassVar[int]
    GATE_STD_FIELD_NUMBER: _ClassVar[int]
    GATE_MIN_FIELD_NUMBER: _ClassVar[int]
    GATE_MAX_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHARE_OF_LOSS_MOVED_FIELD_NUMBER: _ClassVar[int]
    INERT_FIELD_NUMBER: _ClassVar[int]
    REUSE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    NUM_UPDATES_FIELD_NUMBER: _ClassVar[int]
    num_tokens: int
    num_units: int
    gate_std: float
    gate_min: float
    gate_max: float
    effective_sample_size: float
    share_of_loss_moved: float
    inert: bool
    reuse_depth: int
    num_updates: int
    def __init__(self, num_tokens: _Optional[int] = ..., num_units: _Optional[int] = ..., gate_std: _Optional[float] = ..., gate_min: _Optional[float] = ..., gate_max: _Optional[float] = ..., effective_sample_size: _Optional[float] = ..., share_of_loss_moved: _Optional[float] = ..., inert: _Optional[bool] = ..., reuse_depth: _Optional[int] = ..., num_updates: _Optional[int] = ...) -> None: ...

class GateEffectOnUpdate(_message.Message):
    __slots__ = ("num_tokens", "num_units", "gate_std", "gate_min", "gate_max", "effective_sample_size", "share_of_loss_moved", "inert", "update", "step", "attempt", "reuse_depth", "minibatch", "num_responses", "num_responses_left_out", "mean_abs_drift_nats", "strength", "num_scopes_closed")
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    NUM_UNITS_FIELD_NUMBER: _ClassVar[int]
    GATE_STD_FIELD_NUMBER: _ClassVar[int]
    GATE_MIN_FIELD_NUMBER: _ClassVar[int]
    GATE_MAX_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHARE_OF_LOSS_MOVED_FIELD_NUMBER: _ClassVar[int]
    INERT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REUSE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    MINIBATCH_FIELD_NUMBER: _ClassVar[int]
    NUM_RESPONSES_FIELD_NUMBER: _ClassVar[int]
    NUM_RESPONSES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    MEAN_ABS_DRIFT_NATS_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    NUM_SCOPES_CLOSED_FIELD_NUMBER: _ClassVar[int]
    num_tokens: int
    num_units: int
    gate_std: float
    gate_min: float
    gate_max: float
    effective_sample_size: float
    share_of_loss_moved: float
    inert: bool
    update: int
    step: int
    attempt: int
    reuse_depth: int
    minibatch: int
    num_responses: int
    num_responses_left_out: int
    mean_abs_drift_nats: float
    strength: float
    num_scopes_closed: int
    def __init__(self, num_tokens: _Optional[int] = ..., num_units: _Optional[int] = ..., gate_std: _Optional[float] = ..., gate_min: _Optional[float] = ..., gate_max: _Optional[float] = ..., effective_sample_size: _Optional[float] = ..., share_of_loss_moved: _Optional[float] = ..., inert: _Optional[bool] = ..., update: _Optional[int] = ..., step: _Optional[int] = ..., attempt: _Optional[int] = ..., reuse_depth: _Optional[int] = ..., minibatch: _Optional[int] = ..., num_responses: _Optional[int] = ..., num_responses_left_out: _Optional[int] = ..., mean_abs_drift_nats: _Optional[float] = ..., strength: _Optional[float] = ..., num_scopes_closed: _Optional[int] = ...) -> None: ...

class SuggestedStrength(_message.Message):
    __slots__ = ("strength", "adaptive", "median_drift_nats", "median_unit_gate", "num_units")
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    ADAPTIVE_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_DRIFT_NATS_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_UNIT_GATE_FIELD_NUMBER: _ClassVar[int]
    NUM_UNITS_FIELD_NUMBER: _ClassVar[int]
    strength: float
    adaptive: float
    median_drift_nats: float
    median_unit_gate: float
    num_units: int
    def __init__(self, strength: _Optional[float] = ..., adaptive: _Optional[float] = ..., median_drift_nats: _Optional[float] = ..., median_unit_gate: _Optional[float] = ..., num_units: _Optional[int] = ...) -> None: ...
