from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WeightingAlignment(_message.Message):
    __slots__ = ("weighting", "cosine", "norm_ratio")
    WEIGHTING_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    NORM_RATIO_FIELD_NUMBER: _ClassVar[int]
    weighting: str
    cosine: float
    norm_ratio: float
    def __init__(self, weighting: _Optional[str] = ..., cosine: _Optional[float] = ..., norm_ratio: _Optional[float] = ...) -> None: ...

class GradientMeasurement(_message.Message):
    __slots__ = ("step", "update", "attempt", "depth", "num_tokens", "num_fresh_tokens", "reverse_kl_nats", "half_cosine", "weightings")
    STEP_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    NUM_FRESH_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REVERSE_KL_NATS_FIELD_NUMBER: _ClassVar[int]
    HALF_COSINE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTINGS_FIELD_NUMBER: _ClassVar[int]
    step: int
    update: int
    attempt: int
    depth: int
    num_tokens: int
    num_fresh_tokens: int
    reverse_kl_nats: float
    half_cosine: float
    weightings: _containers.RepeatedCompositeFieldContainer[WeightingAlignment]
    def __init__(self, step: _Optional[int] = ..., update: _Optional[int] = ..., attempt: _Optional[int] = ..., depth: _Optional[int] = ..., num_tokens: _Optional[int] = ..., num_fresh_tokens: _Optional[int] = ..., reverse_kl_nats: _Optional[float] = ..., half_cosine: _Optional[float] = ..., weightings: _Optional[_Iterable[_Union[WeightingAlignment, _Mapping]]] = ...) -> None: ...
