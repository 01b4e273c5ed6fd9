"""The README of an exported model: which job made it, from what, and how."""

import json

from service.jobs.results import Checkpoint, Job
from service.jobs.spec import JobSpec
from service.jobs.spec_fields import ModelSpec


def model_card(job: Job, checkpoint: Checkpoint) -> str:
    """Markdown with the head that the hub reads. `job` is the one that trained the student."""
    spec = job.spec
    assert isinstance(spec, JobSpec), "only distillations save checkpoints"
    head = ["---", "library_name: transformers", *_base_model(spec.student), "---"]
    lines = [
        f"# {job.name or 'A distilled student'}",
        "",
        "A student trained by on-policy distillation with Driftgate.",
        "",
        f"- Job: `{job.id}`, checkpoint of step {checkpoint.step}, update {checkpoint.update}",
        f"- Student before training: {_reference(spec.student)}",
        f"- Teacher: {_reference(spec.teacher)}",
        f"- Objective: `{spec.objective.type}`",
        f"- Gate: `{spec.gate.granularity}`",
        "",
    ]
    return "\n".join([*head, "", *lines])


def _base_model(student: ModelSpec) -> list[str]:
    # As the hub's own names only; quoted, as JSON is YAML.
    is_hub_name = student.model.count("/") == 1 and not student.model.startswith("builtin/")
    return [f"base_model: {json.dumps(student.model)}"] if is_hub_name else []


def _reference(model: ModelSpec) -> str:
    at = f" at `{model.revision}`" if model.revision else ""
    return f"`{model.model}`{at}"
