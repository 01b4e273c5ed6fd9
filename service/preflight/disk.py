"""Bytes of files that a job leaves: its models, and its checkpoints."""

from service.jobs.plans import DiskPlan
from service.jobs.spec import JobSpec
from service.preflight.adapter import adapter_parameters
from service.preflight.architecture import Architecture
from service.preflight.memory import BYTES_OF_DTYPE, possible_dtypes
from service.preflight.tensor_sizes import FLOAT32_BYTES


def disk_plan(
    spec: JobSpec, *, student: Architecture | None, teacher: Architecture | None
) -> DiskPlan | None:
    """None where a model's shapes are not known; a teacher on a server takes nothing here."""
    if student is None or (teacher is None and spec.teacher.endpoint is None):
        return None
    models = (
        [student] if teacher is None or spec.teacher.endpoint is not None else [student, teacher]
    )
    num_parameters = sum(model.parameter_counts().total for model in models)
    element_bytes = [BYTES_OF_DTYPE[dtype] for dtype in possible_dtypes(spec.compute)]
    checkpoint = max(_checkpoint_bytes(spec, student, element_bytes=each) for each in element_bytes)
    return DiskPlan(
        models_bytes=num_parameters * max(element_bytes),
        checkpoint_bytes=checkpoint,
        checkpoints_bytes=(spec.checkpoint.keep_last + 1) * checkpoint,
    )


def _checkpoint_bytes(spec: JobSpec, student: Architecture, *, element_bytes: int) -> int:
    """Weights, moments and, beside narrow weights, their float32 masters; of adapters, these and their moments."""
    num_parameters = student.parameter_counts().total
    weights = num_parameters * element_bytes
    if spec.lora is not None:
        return weights + 3 * adapter_parameters(student, spec.lora) * FLOAT32_BYTES
    num_copies = 2 if element_bytes >= FLOAT32_BYTES else 3
    return weights + num_copies * num_parameters * FLOAT32_BYTES
