from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Estimate(_message.Message):
    __slots__ = ("estimate", "low", "high")
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    estimate: float
    low: float
    high: float
    def __init__(self, estimate: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class PassEstimate(_message.Message):
    __slots__ = ("estimate", "low", "high", "sampling_low", "sampling_high")
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_LOW_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_HIGH_FIELD_NUMBER: _ClassVar[int]
    estimate: float
    low: float
    high: float
    sampling_low: float
    sampling_high: float
    def __init__(self, estimate: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., sampling_low: _Optional[float] = ..., sampling_high: _Optional[float] = ...) -> None: ...

class ProblemCount(_message.Message):
    __slots__ = ("problem_id", "n", "c", "num_no_answer", "num_truncated", "num_grader_timeouts", "problem_sha256")
    PROBLEM_ID_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    C_FIELD_NUMBER: _ClassVar[int]
    NUM_NO_ANSWER_FIELD_NUMBER: _ClassVar[int]
    NUM_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    NUM_GRADER_TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_SHA256_FIELD_NUMBER: _ClassVar[int]
    problem_id: str
    n: int
    c: int
    num_no_answer: int
    num_truncated: int
    num_grader_timeouts: int
    problem_sha256: str
    def __init__(self, problem_id: _Optional[str] = ..., n: _Optional[int] = ..., c: _Optional[int] = ..., num_no_answer: _Optional[int] = ..., num_truncated: _Optional[int] = ..., num_grader_timeouts: _Optional[int] = ..., problem_sha256: _Optional[str] = ...) -> None: ...

class BudgetScore(_message.Message):
    __slots__ = ("max_response_tokens", "pass_at", "fraction_truncated")
    class PassAtEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MAX_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PASS_AT_FIELD_NUMBER: _ClassVar[int]
    FRACTION_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    max_response_tokens: int
    pass_at: _containers.ScalarMap[str, float]
    fraction_truncated: float
    def __init__(self, max_response_tokens: _Optional[int] = ..., pass_at: _Optional[_Mapping[str, float]] = ..., fraction_truncated: _Optional[float] = ...) -> None: ...

class BenchmarkResult(_message.Message):
    __slots__ = ("benchmark", "stage", "attempt", "problems_sha256", "num_problems", "samples_per_problem", "profile", "temperature", "top_p", "top_k", "max_response_tokens", "sampling_sha256", "grader", "seed", "pass_at", "maj_at", "token_budgets", "fraction_no_answer", "fraction_truncated", "fraction_loops", "fraction_grader_timeouts", "mean_response_tokens", "num_response_tokens", "seconds", "problems")
    class PassAtEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PassEstimate
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PassEstimate, _Mapping]] = ...) -> None: ...
    class MajAtEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Estimate
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_SHA256_FIELD_NUMBER: _ClassVar[int]
    NUM_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_SHA256_FIELD_NUMBER: _ClassVar[int]
    GRADER_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PASS_AT_FIELD_NUMBER: _ClassVar[int]
    MAJ_AT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_BUDGETS_FIELD_NUMBER: _ClassVar[int]
    FRACTION_NO_ANSWER_FIELD_NUMBER: _ClassVar[int]
    FRACTION_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    FRACTION_LOOPS_FIELD_NUMBER: _ClassVar[int]
    FRACTION_GRADER_TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    MEAN_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    NUM_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    benchmark: str
    stage: str
    attempt: int
    problems_sha256: str
    num_problems: int
    samples_per_problem: int
    profile: str
    temperature: float
    top_p: float
    top_k: int
    max_response_tokens: int
    sampling_sha256: str
    grader: str
    seed: int
    pass_at: _containers.MessageMap[str, PassEstimate]
    maj_at: _containers.MessageMap[str, Estimate]
    token_budgets: _containers.RepeatedCompositeFieldContainer[BudgetScore]
    fraction_no_answer: float
    fraction_truncated: float
    fraction_loops: float
    fraction_grader_timeouts: float
    mean_response_tokens: float
    num_response_tokens: int
    seconds: float
    problems: _containers.RepeatedCompositeFieldContainer[ProblemCount]
    def __init__(self, benchmark: _Optional[str] = ..., stage: _Optional[str] = ..., attempt: _Optional[int] = ..., problems_sha256: _Optional[str] = ..., num_problems: _Optional[int] = ..., samples_per_problem: _Optional[int] = ..., profile: _Optional[str] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., max_response_tokens: _Optional[int] = ..., sampling_sha256: _Optional[str] = ..., grader: _Optional[str] = ..., seed: _Optional[int] = ..., pass_at: _Optional[_Mapping[str, PassEstimate]] = ..., maj_at: _Optional[_Mapping[str, Estimate]] = ..., token_budgets: _Optional[_Iterable[_Union[BudgetScore, _Mapping]]] = ..., fraction_no_answer: _Optional[float] = ..., fraction_truncated: _Optional[float] = ..., fraction_loops: _Optional[float] = ..., fraction_grader_timeouts: _Optional[float] = ..., mean_response_tokens: _Optional[float] = ..., num_response_tokens: _Optional[int] = ..., seconds: _Optional[float] = ..., problems: _Optional[_Iterable[_Union[ProblemCount, _Mapping]]] = ...) -> None: ...

class BenchmarkDifference(_message.Message):
    __slots__ = ("benchmark", "pass_at")
    class PassAtEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PassEstimate
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PassEstimate, _Mapping]] = ...) -> None: ...
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    PASS_AT_FIELD_NUMBER: _ClassVar[int]
    benchmark: str
    pass_at: _containers.MessageMap[str, PassEstimate]
    def __init__(self, benchmark: _Optional[str] = ..., pass_at: _Optional[_Mapping[str, PassEstimate]] = ...) -> None: ...

class StageMean(_message.Message):
    __slots__ = ("stage", "benchmarks", "pass_at")
    class PassAtEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PassEstimate
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PassEstimate, _Mapping]] = ...) -> None: ...
    STAGE_FIELD_NUMBER: _ClassVar[int]
    BENCHMARKS_FIELD_NUMBER: _ClassVar[int]
    PASS_AT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    benchmarks: _containers.RepeatedScalarFieldContainer[str]
    pass_at: _containers.MessageMap[str, PassEstimate]
    def __init__(self, stage: _Optional[str] = ..., benchmarks: _Optional[_Iterable[str]] = ..., pass_at: _Optional[_Mapping[str, PassEstimate]] = ...) -> None: ...

class ReverseKl(_message.Message):
    __slots__ = ("benchmark", "stage", "attempt", "estimator", "num_responses", "num_tokens", "mean_nats", "standard_error_nats", "problems_sha256", "max_response_tokens", "seed", "seconds")
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATOR_FIELD_NUMBER: _ClassVar[int]
    NUM_RESPONSES_FIELD_NUMBER: _ClassVar[int]
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MEAN_NATS_FIELD_NUMBER: _ClassVar[int]
    STANDARD_ERROR_NATS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_SHA256_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    benchmark: str
    stage: str
    attempt: int
    estimator: str
    num_responses: int
    num_tokens: int
    mean_nats: float
    standard_error_nats: float
    problems_sha256: str
    max_response_tokens: int
    seed: int
    seconds: float
    def __init__(self, benchmark: _Optional[str] = ..., stage: _Optional[str] = ..., attempt: _Optional[int] = ..., estimator: _Optional[str] = ..., num_responses: _Optional[int] = ..., num_tokens: _Optional[int] = ..., mean_nats: _Optional[float] = ..., standard_error_nats: _Optional[float] = ..., problems_sha256: _Optional[str] = ..., max_response_tokens: _Optional[int] = ..., seed: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class OverlapExample(_message.Message):
    __slots__ = ("prompt_id", "problem_id", "share")
    PROMPT_ID_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_ID_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    prompt_id: str
    problem_id: str
    share: float
    def __init__(self, prompt_id: _Optional[str] = ..., problem_id: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class PromptOverlap(_message.Message):
    __slots__ = ("benchmark", "num_prompts", "num_overlapping", "num_dropped", "examples")
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    NUM_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    NUM_OVERLAPPING_FIELD_NUMBER: _ClassVar[int]
    NUM_DROPPED_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    benchmark: str
    num_prompts: int
    num_overlapping: int
    num_dropped: int
    examples: _containers.RepeatedCompositeFieldContainer[OverlapExample]
    def __init__(self, benchmark: _Optional[str] = ..., num_prompts: _Optional[int] = ..., num_overlapping: _Optional[int] = ..., num_dropped: _Optional[int] = ..., examples: _Optional[_Iterable[_Union[OverlapExample, _Mapping]]] = ...) -> None: ...

class JobResults(_message.Message):
    __slots__ = ("job_id", "evaluations", "means", "differences", "prompt_overlaps", "note", "reverse_kls")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    MEANS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_OVERLAPS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REVERSE_KLS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    evaluations: _containers.RepeatedCompositeFieldContainer[BenchmarkResult]
    means: _containers.RepeatedCompositeFieldContainer[StageMean]
    differences: _containers.RepeatedCompositeFieldContainer[BenchmarkDifference]
    prompt_overlaps: _containers.RepeatedCompositeFieldContainer[PromptOverlap]
    note: str
    reverse_kls: _containers.RepeatedCompositeFieldContainer[ReverseKl]
    def __init__(self, job_id: _Optional[str] = ..., evaluations: _Optional[_Iterable[_Union[BenchmarkResult, _Mapping]]] = ..., means: _Optional[_Iterable[_Union[StageMean, _Mapping]]] = ..., differences: _Optional[_Iterable[_Union[BenchmarkDifference, _Mapping]]] = ..., prompt_overlaps: _Optional[_Iterable[_Union[PromptOverlap, _Mapping]]] = ..., note: _Optional[str] = ..., reverse_kls: _Optional[_Iterable[_Union[ReverseKl, _Mapping]]] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("stage", "benchmark", "attempt", "problem_id", "problem_sha256", "sample_index", "seed", "prompt_tokens", "response_tokens", "finish_reason", "is_loop", "verdict", "layer", "extracted", "sampling_ms", "grading_ms", "text")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_ID_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_SHA256_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_INDEX_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    IS_LOOP_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    EXTRACTED_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_MS_FIELD_NUMBER: _ClassVar[int]
    GRADING_MS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    benchmark: str
    attempt: int
    problem_id: str
    problem_sha256: str
    sample_index: int
    seed: int
    prompt_tokens: int
    response_tokens: int
    finish_reason: str
    is_loop: bool
    verdict: str
    layer: str
    extracted: str
    sampling_ms: float
    grading_ms: float
    text: str
    def __init__(self, stage: _Optional[str] = ..., benchmark: _Optional[str] = ..., attempt: _Optional[int] = ..., problem_id: _Optional[str] = ..., problem_sha256: _Optional[str] = ..., sample_index: _Optional[int] = ..., seed: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., response_tokens: _Optional[int] = ..., finish_reason: _Optional[str] = ..., is_loop: _Optional[bool] = ..., verdict: _Optional[str] = ..., layer: _Optional[str] = ..., extracted: _Optional[str] = ..., sampling_ms: _Optional[float] = ..., grading_ms: _Optional[float] = ..., text: _Optional[str] = ...) -> None: ...

class SamplingInForce(_message.Message):
    __slots__ = ("profile", "temperature", "top_p", "top_k", "max_response_tokens")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    profile: str
    temperature: float
    top_p: float
    top_k: int
    max_response_tokens: int
    def __init__(self, profile: _Optional[str] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., max_response_tokens: _Optional[int] = ...) -> None: ...

class VerdictChange(_message.Message):
    __slots__ = ("stage", "benchmark", "problem_id", "sample_index", "extracted", "verdict_before", "layer_before", "verdict", "layer")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_INDEX_FIELD_NUMBER: _ClassVar[int]
    EXTRACTED_FIELD_NUMBER: _ClassVar[int]
    VERDICT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    LAYER_BEFORE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    stage: str
    benchmark: str
    problem_id: str
    sample_index: int
    extracted: str
    verdict_before: str
    layer_before: str
    verdict: str
    layer: str
    def __init__(self, stage: _Optional[str] = ..., benchmark: _Optional[str] = ..., problem_id: _Optional[str] = ..., sample_index: _Optional[int] = ..., extracted: _Optional[str] = ..., verdict_before: _Optional[str] = ..., layer_before: _Optional[str] = ..., verdict: _Optional[str] = ..., layer: _Optional[str] = ...) -> None: ...
