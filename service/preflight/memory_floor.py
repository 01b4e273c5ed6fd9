"""Memory that a job needs whatever the lengths of its responses: what workers are matched by.

The plan's peak is an upper bound, of every response at its limit: it would keep jobs from workers that run them
well. This is a lower one: weights, optimiser states and gradients, in the narrowest dtype that the spec allows.
"""

from functools import lru_cache

from service.jobs.spec import EvaluationJobSpec, JobSpec, LoraSpec
from service.preflight.adapter import adapter_parameters
from service.preflight.architecture import Architecture
from service.preflight.memory import BYTES_OF_DTYPE, possible_dtypes
from service.preflight.model_files import ModelFacts
from service.preflight.tensor_sizes import FLOAT32_BYTES


def memory_floor_bytes(
    spec: JobSpec, *, student: ModelFacts | None, teacher: ModelFacts | None
) -> int | None:
    """None where a model's shapes are not known."""
    if student is None or not isinstance(student.architecture, Architecture):
        return None
    dtypes = tuple(possible_dtypes(spec.compute))
    if spec.teacher.endpoint is not None:
        return _floor_bytes(student.architecture, None, spec.lora, dtypes, spec.compute.offload)
    if teacher is None or not isinstance(teacher.architecture, Architecture):
        return None
    together = _floor_bytes(
        student.architecture, teacher.architecture, spec.lora, dtypes, spec.compute.offload
    )
    return -(-together // spec.resources.gpus)  # of each device its share


def evaluation_memory_floor_bytes(spec: EvaluationJobSpec, model: ModelFacts | None) -> int | None:
    """The model's weights; None where its shapes are not known."""
    if model is None or not isinstance(model.architecture, Architecture):
        return None
    num_parameters = model.architecture.parameter_counts().total
    return num_parameters * min(BYTES_OF_DTYPE[dtype] for dtype in possible_dtypes(spec.compute))


@lru_cache(maxsize=256)
def _floor_bytes(
    student: Architecture,
    teacher: Architecture | None,
    lora: LoraSpec | None,
    dtypes: tuple[str, ...],
    offload: str,
) -> int:
    """Cached, because every submission asks."""
    return min(
        _floor_of_dtype(
            student, teacher, lora, element_bytes=BYTES_OF_DTYPE[dtype], offload=offload
        )
        for dtype in dtypes
    )


def _floor_of_dtype(
    student: Architecture,
    teacher: Architecture | None,
    lora: LoraSpec | None,
    *,
    element_bytes: int,
    offload: str,
) -> int:
    """The larger of the optimiser's step and of scoring: what is offloaded is away from the other."""
    num_student = student.parameter_counts().total
    student_weights = num_student * element_bytes
    num_teacher = 0 if teacher is None else teacher.parameter_counts().total
    teacher_weights = num_teacher * element_bytes
    num_trained = num_student if lora is None else adapter_parameters(student, lora)
    # AdamW's two moments and, beside narrow weights, a float32 copy; adapters are float32 themselves.
    num_float32_copies = 2 if lora is None and element_bytes >= FLOAT32_BYTES else 3
    states = num_float32_copies * num_trained * FLOAT32_BYTES
    gradients = num_trained * FLOAT32_BYTES
    step = states + gradients + (0 if offload in {"teacher", "both"} else teacher_weights)
    scoring = teacher_weights + (0 if offload in {"optimizer", "both"} else states)
    return student_weights + max(step, scoring)
