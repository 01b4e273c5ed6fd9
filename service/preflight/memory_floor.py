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
    if student is None or teacher is None:
        return None
    if not isinstance(student.architecture, Architecture):
        return None
    if not isinstance(teacher.architecture, Architecture):
        return None
    return _floor_bytes(
        student.architecture, teacher.architecture, spec.lora, tuple(possible_dtypes(spec.compute))
    )


def evaluation_memory_floor_bytes(spec: EvaluationJobSpec, model: ModelFacts | None) -> int | None:
    """The model's weights; None where its shapes are not known."""
    if model is None or not isinstance(model.architecture, Architecture):
        return None
    num_parameters = model.architecture.parameter_counts().total
    return num_parameters * min(BYTES_OF_DTYPE[dtype] for dtype in possible_dtypes(spec.compute))


@lru_cache(maxsize=256)
def _floor_bytes(
    student: Architecture,
    teacher: Architecture,
    lora: LoraSpec | None,
    dtypes: tuple[str, ...],
) -> int:
    """Cached, because every submission asks."""
    return min(
        _floor_of_dtype(student, teacher, lora, element_bytes=BYTES_OF_DTYPE[dtype])
        for dtype in dtypes
    )


def _floor_of_dtype(
    student: Architecture, teacher: Architecture, lora: LoraSpec | None, *, element_bytes: int
) -> int:
    num_student = student.parameter_counts().total
    weights = (num_student + teacher.parameter_counts().total) * element_bytes
    num_trained = num_student if lora is None else adapter_parameters(student, lora)
    # AdamW's two moments and, beside narrow weights, a float32 copy; adapters are float32 themselves.
    num_float32_copies = 2 if lora is None and element_bytes >= FLOAT32_BYTES else 3
    gradients = num_trained * (element_bytes if lora is None else FLOAT32_BYTES)
    return weights + num_float32_copies * num_trained * FLOAT32_BYTES + gradients
