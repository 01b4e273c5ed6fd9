from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_KIND_UNSPECIFIED: _ClassVar[JobKind]
    JOB_KIND_DISTILLATION: _ClassVar[JobKind]
    JOB_KIND_EVALUATION: _ClassVar[JobKind]
    JOB_KIND_REGRADE: _ClassVar[JobKind]
    JOB_KIND_EXPORT: _ClassVar[JobKind]

class TeacherVocabulary(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEACHER_VOCABULARY_UNSPECIFIED: _ClassVar[TeacherVocabulary]
    TEACHER_VOCABULARY_FILES: _ClassVar[TeacherVocabulary]
    TEACHER_VOCABULARY_SERVER: _ClassVar[TeacherVocabulary]

class PublishedSet(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PUBLISHED_SET_UNSPECIFIED: _ClassVar[PublishedSet]
    PUBLISHED_SET_AIME24: _ClassVar[PublishedSet]
    PUBLISHED_SET_AIME25: _ClassVar[PublishedSet]
    PUBLISHED_SET_MATH500: _ClassVar[PublishedSet]
    PUBLISHED_SET_AMC23: _ClassVar[PublishedSet]
    PUBLISHED_SET_GSM8K: _ClassVar[PublishedSet]
    PUBLISHED_SET_MATH: _ClassVar[PublishedSet]
    PUBLISHED_SET_DAPO_MATH_17K: _ClassVar[PublishedSet]

class ChatTemplate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHAT_TEMPLATE_UNSPECIFIED: _ClassVar[ChatTemplate]
    CHAT_TEMPLATE_AUTO: _ClassVar[ChatTemplate]
    CHAT_TEMPLATE_NEVER: _ClassVar[ChatTemplate]

class Advantage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADVANTAGE_UNSPECIFIED: _ClassVar[Advantage]
    ADVANTAGE_FROZEN: _ClassVar[Advantage]
    ADVANTAGE_RECOMPUTED: _ClassVar[Advantage]
    ADVANTAGE_CONSTANT: _ClassVar[Advantage]

class Granularity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GRANULARITY_UNSPECIFIED: _ClassVar[Granularity]
    GRANULARITY_BLOCK: _ClassVar[Granularity]
    GRANULARITY_NEWLINE_SPAN: _ClassVar[Granularity]
    GRANULARITY_TOKEN: _ClassVar[Granularity]
    GRANULARITY_SEQUENCE: _ClassVar[Granularity]
    GRANULARITY_NONE: _ClassVar[Granularity]

class Aggregation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AGGREGATION_UNSPECIFIED: _ClassVar[Aggregation]
    AGGREGATION_SIGNED_MEAN: _ClassVar[Aggregation]
    AGGREGATION_MEAN_ABS: _ClassVar[Aggregation]
    AGGREGATION_RMS: _ClassVar[Aggregation]
    AGGREGATION_K3: _ClassVar[Aggregation]

class Kernel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KERNEL_UNSPECIFIED: _ClassVar[Kernel]
    KERNEL_EXP: _ClassVar[Kernel]
    KERNEL_RECIPROCAL: _ClassVar[Kernel]
    KERNEL_HARD: _ClassVar[Kernel]
    KERNEL_RATIO: _ClassVar[Kernel]

class Normalization(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NORMALIZATION_UNSPECIFIED: _ClassVar[Normalization]
    NORMALIZATION_MINIBATCH: _ClassVar[Normalization]
    NORMALIZATION_SEQUENCE: _ClassVar[Normalization]
    NORMALIZATION_NONE: _ClassVar[Normalization]

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_DAMP: _ClassVar[Direction]
    DIRECTION_EMPHASISE: _ClassVar[Direction]
    DIRECTION_SHUFFLED: _ClassVar[Direction]

class ScheduleType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEDULE_TYPE_UNSPECIFIED: _ClassVar[ScheduleType]
    SCHEDULE_TYPE_CONSTANT: _ClassVar[ScheduleType]
    SCHEDULE_TYPE_LINEAR: _ClassVar[ScheduleType]
    SCHEDULE_TYPE_COSINE: _ClassVar[ScheduleType]

class Device(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_UNSPECIFIED: _ClassVar[Device]
    DEVICE_AUTO: _ClassVar[Device]
    DEVICE_CPU: _ClassVar[Device]
    DEVICE_CUDA: _ClassVar[Device]

class Dtype(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[Dtype]
    DTYPE_AUTO: _ClassVar[Dtype]
    DTYPE_FLOAT32: _ClassVar[Dtype]
    DTYPE_BFLOAT16: _ClassVar[Dtype]

class Layout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAYOUT_UNSPECIFIED: _ClassVar[Layout]
    LAYOUT_AUTO: _ClassVar[Layout]
    LAYOUT_PADDED: _ClassVar[Layout]
    LAYOUT_PACKED: _ClassVar[Layout]

class Offload(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OFFLOAD_UNSPECIFIED: _ClassVar[Offload]
    OFFLOAD_NONE: _ClassVar[Offload]
    OFFLOAD_TEACHER: _ClassVar[Offload]
    OFFLOAD_OPTIMIZER: _ClassVar[Offload]
    OFFLOAD_BOTH: _ClassVar[Offload]

class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENGINE_UNSPECIFIED: _ClassVar[Engine]
    ENGINE_AUTO: _ClassVar[Engine]
    ENGINE_TRANSFORMERS: _ClassVar[Engine]
    ENGINE_VLLM: _ClassVar[Engine]
JOB_KIND_UNSPECIFIED: JobKind
JOB_KIND_DISTILLATION: JobKind
JOB_KIND_EVALUATION: JobKind
JOB_KIND_REGRADE: JobKind
JOB_KIND_EXPORT: JobKind
TEACHER_VOCABULARY_UNSPECIFIED: TeacherVocabulary
TEACHER_VOCABULARY_FILES: TeacherVocabulary
TEACHER_VOCABULARY_SERVER: TeacherVocabulary
PUBLISHED_SET_UNSPECIFIED: PublishedSet
PUBLISHED_SET_AIME24: PublishedSet
PUBLISHED_SET_AIME25: PublishedSet
PUBLISHED_SET_MATH500: PublishedSet
PUBLISHED_SET_AMC23: PublishedSet
PUBLISHED_SET_GSM8K: PublishedSet
PUBLISHED_SET_MATH: PublishedSet
PUBLISHED_SET_DAPO_MATH_17K: PublishedSet
CHAT_TEMPLATE_UNSPECIFIED: ChatTemplate
CHAT_TEMPLATE_AUTO: ChatTemplate
CHAT_TEMPLATE_NEVER: ChatTemplate
ADVANTAGE_UNSPECIFIED: Advantage
ADVANTAGE_FROZEN: Advantage
ADVANTAGE_RECOMPUTED: Advantage
ADVANTAGE_CONSTANT: Advantage
GRANULARITY_UNSPECIFIED: Granularity
GRANULARITY_BLOCK: Granularity
GRANULARITY_NEWLINE_SPAN: Granularity
GRANULARITY_TOKEN: Granularity
GRANULARITY_SEQUENCE: Granularity
GRANULARITY_NONE: Granularity
AGGREGATION_UNSPECIFIED: Aggregation
AGGREGATION_SIGNED_MEAN: Aggregation
AGGREGATION_MEAN_ABS: Aggregation
AGGREGATION_RMS: Aggregation
AGGREGATION_K3: Aggregation
KERNEL_UNSPECIFIED: Kernel
KERNEL_EXP: Kernel
KERNEL_RECIPROCAL: Kernel
KERNEL_HARD: Kernel
KERNEL_RATIO: Kernel
NORMALIZATION_UNSPECIFIED: Normalization
NORMALIZATION_MINIBATCH: Normalization
NORMALIZATION_SEQUENCE: Normalization
NORMALIZATION_NONE: Normalization
DIRECTION_UNSPECIFIED: Direction
DIRECTION_DAMP: Direction
DIRECTION_EMPHASISE: Direction
DIRECTION_SHUFFLED: Direction
SCHEDULE_TYPE_UNSPECIFIED: ScheduleType
SCHEDULE_TYPE_CONSTANT: ScheduleType
SCHEDULE_TYPE_LINEAR: ScheduleType
SCHEDULE_TYPE_COSINE: ScheduleType
DEVICE_UNSPECIFIED: Device
DEVICE_AUTO: Device
DEVICE_CPU: Device
DEVICE_CUDA: Device
DTYPE_UNSPECIFIED: Dtype
DTYPE_AUTO: Dtype
DTYPE_FLOAT32: Dtype
DTYPE_BFLOAT16: Dtype
LAYOUT_UNSPECIFIED: Layout
LAYOUT_AUTO: Layout
LAYOUT_PADDED: Layout
LAYOUT_PACKED: Layout
OFFLOAD_UNSPECIFIED: Offload
OFFLOAD_NONE: Offload
OFFLOAD_TEACHER: Offload
OFFLOAD_OPTIMIZER: Offload
OFFLOAD_BOTH: Offload
ENGINE_UNSPECIFIED: Engine
ENGINE_AUTO: Engine
ENGINE_TRANSFORMERS: Engine
ENGINE_VLLM: Engine

class JobSpec(_message.Message):
    __slots__ = ("name", "labels", "student", "teacher", "prompts", "objective", "gate", "steps", "reuse", "rollout", "optimizer", "evaluation", "checkpoint", "compute", "masked_token_ids", "drift_map_block_size", "seed", "lora", "warm_start", "kind", "model", "max_prompt_tokens", "job_id", "priority", "step", "destination", "max_runtime_s", "resources", "diagnostics")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    STUDENT_FIELD_NUMBER: _ClassVar[int]
    TEACHER_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    REUSE_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_FIELD_NUMBER: _ClassVar[int]
    MASKED_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_MAP_BLOCK_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LORA_FIELD_NUMBER: _ClassVar[int]
    WARM_START_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNTIME_S_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSTICS_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.ScalarMap[str, str]
    student: ModelSpec
    teacher: ModelSpec
    prompts: PromptsSpec
    objective: Objective
    gate: GateSpec
    steps: int
    reuse: ReuseSpec
    rollout: RolloutSpec
    optimizer: OptimizerSpec
    evaluation: EvaluationSpec
    checkpoint: CheckpointSpec
    compute: ComputeSpec
    masked_token_ids: _containers.RepeatedScalarFieldContainer[int]
    drift_map_block_size: int
    seed: int
    lora: LoraSpec
    warm_start: WarmStartSpec
    kind: JobKind
    model: ModelSpec
    max_prompt_tokens: int
    job_id: str
    priority: int
    step: int
    destination: ExportDestination
    max_runtime_s: int
    resources: ResourcesSpec
    diagnostics: DiagnosticsSpec
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., student: _Optional[_Union[ModelSpec, _Mapping]] = ..., teacher: _Optional[_Union[ModelSpec, _Mapping]] = ..., prompts: _Optional[_Union[PromptsSpec, _Mapping]] = ..., objective: _Optional[_Union[Objective, _Mapping]] = ..., gate: _Optional[_Union[GateSpec, _Mapping]] = ..., steps: _Optional[int] = ..., reuse: _Optional[_Union[ReuseSpec, _Mapping]] = ..., rollout: _Optional[_Union[RolloutSpec, _Mapping]] = ..., optimizer: _Optional[_Union[OptimizerSpec, _Mapping]] = ..., evaluation: _Optional[_Union[EvaluationSpec, _Mapping]] = ..., checkpoint: _Optional[_Union[CheckpointSpec, _Mapping]] = ..., compute: _Optional[_Union[ComputeSpec, _Mapping]] = ..., masked_token_ids: _Optional[_Iterable[int]] = ..., drift_map_block_size: _Optional[int] = ..., seed: _Optional[int] = ..., lora: _Optional[_Union[LoraSpec, _Mapping]] = ..., warm_start: _Optional[_Union[WarmStartSpec, _Mapping]] = ..., kind: _Optional[_Union[JobKind, str]] = ..., model: _Optional[_Union[ModelSpec, _Mapping]] = ..., max_prompt_tokens: _Optional[int] = ..., job_id: _Optional[str] = ..., priority: _Optional[int] = ..., step: _Optional[int] = ..., destination: _Optional[_Union[ExportDestination, _Mapping]] = ..., max_runtime_s: _Optional[int] = ..., resources: _Optional[_Union[ResourcesSpec, _Mapping]] = ..., diagnostics: _Optional[_Union[DiagnosticsSpec, _Mapping]] = ...) -> None: ...

class DiagnosticsSpec(_message.Message):
    __slots__ = ("token_drift_updates", "gradient_fidelity")
    TOKEN_DRIFT_UPDATES_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_FIDELITY_FIELD_NUMBER: _ClassVar[int]
    token_drift_updates: int
    gradient_fidelity: GradientFidelitySpec
    def __init__(self, token_drift_updates: _Optional[int] = ..., gradient_fidelity: _Optional[_Union[GradientFidelitySpec, _Mapping]] = ...) -> None: ...

class GradientFidelitySpec(_message.Message):
    __slots__ = ("num_batches", "depths", "fresh_samples_per_prompt")
    NUM_BATCHES_FIELD_NUMBER: _ClassVar[int]
    DEPTHS_FIELD_NUMBER: _ClassVar[int]
    FRESH_SAMPLES_PER_PROMPT_FIELD_NUMBER: _ClassVar[int]
    num_batches: int
    depths: _containers.RepeatedScalarFieldContainer[int]
    fresh_samples_per_prompt: int
    def __init__(self, num_batches: _Optional[int] = ..., depths: _Optional[_Iterable[int]] = ..., fresh_samples_per_prompt: _Optional[int] = ...) -> None: ...

class ResourcesSpec(_message.Message):
    __slots__ = ("gpus",)
    GPUS_FIELD_NUMBER: _ClassVar[int]
    gpus: int
    def __init__(self, gpus: _Optional[int] = ...) -> None: ...

class ModelSpec(_message.Message):
    __slots__ = ("model", "revision", "hub_token", "endpoint", "served_model", "api_key", "vocabulary", "max_concurrent_requests", "request_timeout_s")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HUB_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    SERVED_MODEL_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    model: str
    revision: str
    hub_token: SecretRef
    endpoint: str
    served_model: str
    api_key: SecretRef
    vocabulary: TeacherVocabulary
    max_concurrent_requests: int
    request_timeout_s: float
    def __init__(self, model: _Optional[str] = ..., revision: _Optional[str] = ..., hub_token: _Optional[_Union[SecretRef, _Mapping]] = ..., endpoint: _Optional[str] = ..., served_model: _Optional[str] = ..., api_key: _Optional[_Union[SecretRef, _Mapping]] = ..., vocabulary: _Optional[_Union[TeacherVocabulary, str]] = ..., max_concurrent_requests: _Optional[int] = ..., request_timeout_s: _Optional[float] = ...) -> None: ...

class SecretRef(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: str
    def __init__(self, secret: _Optional[str] = ...) -> None: ...

class ExportDestination(_message.Message):
    __slots__ = ("folder", "object_store", "hub")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    OBJECT_STORE_FIELD_NUMBER: _ClassVar[int]
    HUB_FIELD_NUMBER: _ClassVar[int]
    folder: FolderDestination
    object_store: ObjectStoreDestination
    hub: HubDestination
    def __init__(self, folder: _Optional[_Union[FolderDestination, _Mapping]] = ..., object_store: _Optional[_Union[ObjectStoreDestination, _Mapping]] = ..., hub: _Optional[_Union[HubDestination, _Mapping]] = ...) -> None: ...

class FolderDestination(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class ObjectStoreDestination(_message.Message):
    __slots__ = ("url", "endpoint", "region", "account_name", "credentials")
    URL_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NAME_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    url: str
    endpoint: str
    region: str
    account_name: str
    credentials: StoreCredentials
    def __init__(self, url: _Optional[str] = ..., endpoint: _Optional[str] = ..., region: _Optional[str] = ..., account_name: _Optional[str] = ..., credentials: _Optional[_Union[StoreCredentials, _Mapping]] = ...) -> None: ...

class StoreCredentials(_message.Message):
    __slots__ = ("access_key_id", "secret_access_key", "session_token", "service_account_key", "account_key", "sas_token")
    ACCESS_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_ACCESS_KEY_FIELD_NUMBER: _ClassVar[int]
    SESSION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_KEY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_KEY_FIELD_NUMBER: _ClassVar[int]
    SAS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    access_key_id: SecretRef
    secret_access_key: SecretRef
    session_token: SecretRef
    service_account_key: SecretRef
    account_key: SecretRef
    sas_token: SecretRef
    def __init__(self, access_key_id: _Optional[_Union[SecretRef, _Mapping]] = ..., secret_access_key: _Optional[_Union[SecretRef, _Mapping]] = ..., session_token: _Optional[_Union[SecretRef, _Mapping]] = ..., service_account_key: _Optional[_Union[SecretRef, _Mapping]] = ..., account_key: _Optional[_Union[SecretRef, _Mapping]] = ..., sas_token: _Optional[_Union[SecretRef, _Mapping]] = ...) -> None: ...

class HubDestination(_message.Message):
    __slots__ = ("repo_id", "revision", "private", "token")
    REPO_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    repo_id: str
    revision: str
    private: bool
    token: SecretRef
    def __init__(self, repo_id: _Optional[str] = ..., revision: _Optional[str] = ..., private: _Optional[bool] = ..., token: _Optional[_Union[SecretRef, _Mapping]] = ...) -> None: ...

class WarmStartSpec(_message.Message):
    __slots__ = ("job_id", "step")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    step: int
    def __init__(self, job_id: _Optional[str] = ..., step: _Optional[int] = ...) -> None: ...

class PromptsSpec(_message.Message):
    __slots__ = ("problems", "format", "drop_overlapping")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DROP_OVERLAPPING_FIELD_NUMBER: _ClassVar[int]
    problems: ProblemSource
    format: PromptFormat
    drop_overlapping: bool
    def __init__(self, problems: _Optional[_Union[ProblemSource, _Mapping]] = ..., format: _Optional[_Union[PromptFormat, _Mapping]] = ..., drop_overlapping: _Optional[bool] = ...) -> None: ...

class ProblemSource(_message.Message):
    __slots__ = ("arithmetic", "file", "inline", "published", "dataset")
    ARITHMETIC_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    arithmetic: ArithmeticSource
    file: FileSource
    inline: InlineSource
    published: PublishedSource
    dataset: DatasetSource
    def __init__(self, arithmetic: _Optional[_Union[ArithmeticSource, _Mapping]] = ..., file: _Optional[_Union[FileSource, _Mapping]] = ..., inline: _Optional[_Union[InlineSource, _Mapping]] = ..., published: _Optional[_Union[PublishedSource, _Mapping]] = ..., dataset: _Optional[_Union[DatasetSource, _Mapping]] = ...) -> None: ...

class PublishedSource(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: PublishedSet
    def __init__(self, name: _Optional[_Union[PublishedSet, str]] = ...) -> None: ...

class ArithmeticSource(_message.Message):
    __slots__ = ("num_problems", "min_operations", "max_operations", "seed")
    NUM_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    MIN_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    num_problems: int
    min_operations: int
    max_operations: int
    seed: int
    def __init__(self, num_problems: _Optional[int] = ..., min_operations: _Optional[int] = ..., max_operations: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class FileSource(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class DatasetSource(_message.Message):
    __slots__ = ("dataset_id",)
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    def __init__(self, dataset_id: _Optional[str] = ...) -> None: ...

class InlineSource(_message.Message):
    __slots__ = ("problems",)
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    def __init__(self, problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("id", "problem", "answer")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    id: str
    problem: str
    answer: str
    def __init__(self, id: _Optional[str] = ..., problem: _Optional[str] = ..., answer: _Optional[str] = ...) -> None: ...

class PromptFormat(_message.Message):
    __slots__ = ("instruction", "chat_template", "enable_thinking")
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    CHAT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    ENABLE_THINKING_FIELD_NUMBER: _ClassVar[int]
    instruction: str
    chat_template: ChatTemplate
    enable_thinking: bool
    def __init__(self, instruction: _Optional[str] = ..., chat_template: _Optional[_Union[ChatTemplate, str]] = ..., enable_thinking: _Optional[bool] = ...) -> None: ...

class Objective(_message.Message):
    __slots__ = ("sampled_token", "teacher_topk")
    SAMPLED_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TEACHER_TOPK_FIELD_NUMBER: _ClassVar[int]
    sampled_token: SampledTokenObjective
    teacher_topk: TeacherTopKObjective
    def __init__(self, sampled_token: _Optional[_Union[SampledTokenObjective, _Mapping]] = ..., teacher_topk: _Optional[_Union[TeacherTopKObjective, _Mapping]] = ...) -> None: ...

class Bound(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: float
    def __init__(self, value: _Optional[float] = ...) -> None: ...

class SampledTokenObjective(_message.Message):
    __slots__ = ("advantage", "clip_range", "dual_clip")
    ADVANTAGE_FIELD_NUMBER: _ClassVar[int]
    CLIP_RANGE_FIELD_NUMBER: _ClassVar[int]
    DUAL_CLIP_FIELD_NUMBER: _ClassVar[int]
    advantage: Advantage
    clip_range: Bound
    dual_clip: Bound
    def __init__(self, advantage: _Optional[_Union[Advantage, str]] = ..., clip_range: _Optional[_Union[Bound, _Mapping]] = ..., dual_clip: _Optional[_Union[Bound, _Mapping]] = ...) -> None: ...

class TeacherTopKObjective(_message.Message):
    __slots__ = ("k",)
    K_FIELD_NUMBER: _ClassVar[int]
    k: int
    def __init__(self, k: _Optional[int] = ...) -> None: ...

class Strength(_message.Message):
    __slots__ = ("constant", "adaptive")
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    ADAPTIVE_FIELD_NUMBER: _ClassVar[int]
    constant: float
    adaptive: float
    def __init__(self, constant: _Optional[float] = ..., adaptive: _Optional[float] = ...) -> None: ...

class GateSpec(_message.Message):
    __slots__ = ("granularity", "block_size", "aggregation", "kernel", "strength", "normalization", "direction", "min_span", "max_span", "threshold", "ratio_bounds")
    GRANULARITY_FIELD_NUMBER: _ClassVar[int]
    BLOCK_SIZE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    MIN_SPAN_FIELD_NUMBER: _ClassVar[int]
    MAX_SPAN_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    RATIO_BOUNDS_FIELD_NUMBER: _ClassVar[int]
    granularity: Granularity
    block_size: int
    aggregation: Aggregation
    kernel: Kernel
    strength: Strength
    normalization: Normalization
    direction: Direction
    min_span: int
    max_span: int
    threshold: float
    ratio_bounds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, granularity: _Optional[_Union[Granularity, str]] = ..., block_size: _Optional[int] = ..., aggregation: _Optional[_Union[Aggregation, str]] = ..., kernel: _Optional[_Union[Kernel, str]] = ..., strength: _Optional[_Union[Strength, _Mapping]] = ..., normalization: _Optional[_Union[Normalization, str]] = ..., direction: _Optional[_Union[Direction, str]] = ..., min_span: _Optional[int] = ..., max_span: _Optional[int] = ..., threshold: _Optional[float] = ..., ratio_bounds: _Optional[_Iterable[float]] = ...) -> None: ...

class ReuseSpec(_message.Message):
    __slots__ = ("epochs", "minibatches")
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    MINIBATCHES_FIELD_NUMBER: _ClassVar[int]
    epochs: int
    minibatches: int
    def __init__(self, epochs: _Optional[int] = ..., minibatches: _Optional[int] = ...) -> None: ...

class RolloutSpec(_message.Message):
    __slots__ = ("prompts_per_step", "samples_per_prompt", "max_prompt_tokens", "max_response_tokens", "temperature", "top_p")
    PROMPTS_PER_STEP_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_PROMPT_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    prompts_per_step: int
    samples_per_prompt: int
    max_prompt_tokens: int
    max_response_tokens: int
    temperature: float
    top_p: float
    def __init__(self, prompts_per_step: _Optional[int] = ..., samples_per_prompt: _Optional[int] = ..., max_prompt_tokens: _Optional[int] = ..., max_response_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ...) -> None: ...

class ScheduleSpec(_message.Message):
    __slots__ = ("type", "warmup_updates", "final_fraction")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WARMUP_UPDATES_FIELD_NUMBER: _ClassVar[int]
    FINAL_FRACTION_FIELD_NUMBER: _ClassVar[int]
    type: ScheduleType
    warmup_updates: int
    final_fraction: float
    def __init__(self, type: _Optional[_Union[ScheduleType, str]] = ..., warmup_updates: _Optional[int] = ..., final_fraction: _Optional[float] = ...) -> None: ...

class OptimizerSpec(_message.Message):
    __slots__ = ("learning_rate", "weight_decay", "beta1", "beta2", "epsilon", "gradient_clip_norm", "schedule")
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    BETA1_FIELD_NUMBER: _ClassVar[int]
    BETA2_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_CLIP_NORM_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    gradient_clip_norm: float
    schedule: ScheduleSpec
    def __init__(self, learning_rate: _Optional[float] = ..., weight_decay: _Optional[float] = ..., beta1: _Optional[float] = ..., beta2: _Optional[float] = ..., epsilon: _Optional[float] = ..., gradient_clip_norm: _Optional[float] = ..., schedule: _Optional[_Union[ScheduleSpec, _Mapping]] = ...) -> None: ...

class LoraSpec(_message.Message):
    __slots__ = ("rank", "alpha", "target_modules")
    RANK_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    TARGET_MODULES_FIELD_NUMBER: _ClassVar[int]
    rank: int
    alpha: float
    target_modules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rank: _Optional[int] = ..., alpha: _Optional[float] = ..., target_modules: _Optional[_Iterable[str]] = ...) -> None: ...

class BenchmarkSpec(_message.Message):
    __slots__ = ("name", "problems", "format", "samples_per_problem")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    problems: ProblemSource
    format: PromptFormat
    samples_per_problem: int
    def __init__(self, name: _Optional[str] = ..., problems: _Optional[_Union[ProblemSource, _Mapping]] = ..., format: _Optional[_Union[PromptFormat, _Mapping]] = ..., samples_per_problem: _Optional[int] = ...) -> None: ...

class DuringTrainingSpec(_message.Message):
    __slots__ = ("every_steps", "max_problems")
    EVERY_STEPS_FIELD_NUMBER: _ClassVar[int]
    MAX_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    every_steps: int
    max_problems: int
    def __init__(self, every_steps: _Optional[int] = ..., max_problems: _Optional[int] = ...) -> None: ...

class EvaluationSpec(_message.Message):
    __slots__ = ("benchmarks", "samples_per_problem", "k", "temperature", "top_p", "max_response_tokens", "evaluate_teacher", "seed", "profile", "top_k", "during_training", "reverse_kl_problems")
    BENCHMARKS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EVALUATE_TEACHER_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    DURING_TRAINING_FIELD_NUMBER: _ClassVar[int]
    REVERSE_KL_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    benchmarks: _containers.RepeatedCompositeFieldContainer[BenchmarkSpec]
    samples_per_problem: int
    k: _containers.RepeatedScalarFieldContainer[int]
    temperature: float
    top_p: float
    max_response_tokens: int
    evaluate_teacher: bool
    seed: int
    profile: str
    top_k: int
    during_training: DuringTrainingSpec
    reverse_kl_problems: int
    def __init__(self, benchmarks: _Optional[_Iterable[_Union[BenchmarkSpec, _Mapping]]] = ..., samples_per_problem: _Optional[int] = ..., k: _Optional[_Iterable[int]] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., max_response_tokens: _Optional[int] = ..., evaluate_teacher: _Optional[bool] = ..., seed: _Optional[int] = ..., profile: _Optional[str] = ..., top_k: _Optional[int] = ..., during_training: _Optional[_Union[DuringTrainingSpec, _Mapping]] = ..., reverse_kl_problems: _Optional[int] = ...) -> None: ...

class CheckpointSpec(_message.Message):
    __slots__ = ("every_steps", "keep_last")
    EVERY_STEPS_FIELD_NUMBER: _ClassVar[int]
    KEEP_LAST_FIELD_NUMBER: _ClassVar[int]
    every_steps: int
    keep_last: int
    def __init__(self, every_steps: _Optional[int] = ..., keep_last: _Optional[int] = ...) -> None: ...

class ComputeSpec(_message.Message):
    __slots__ = ("device", "dtype", "max_tokens_per_microbatch", "rollout_batch_size", "gradient_checkpointing", "engine", "layout", "compile", "offload")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_PER_MICROBATCH_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_CHECKPOINTING_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    COMPILE_FIELD_NUMBER: _ClassVar[int]
    OFFLOAD_FIELD_NUMBER: _ClassVar[int]
    device: Device
    dtype: Dtype
    max_tokens_per_microbatch: int
    rollout_batch_size: int
    gradient_checkpointing: bool
    engine: Engine
    layout: Layout
    compile: bool
    offload: Offload
    def __init__(self, device: _Optional[_Union[Device, str]] = ..., dtype: _Optional[_Union[Dtype, str]] = ..., max_tokens_per_microbatch: _Optional[int] = ..., rollout_batch_size: _Optional[int] = ..., gradient_checkpointing: _Optional[bool] = ..., engine: _Optional[_Union[Engine, str]] = ..., layout: _Optional[_Union[Layout, str]] = ..., compile: _Optional[bool] = ..., offload: _Optional[_Union[Offload, str]] = ...) -> None: ...
