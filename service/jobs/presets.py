"""The six published variants by name: {sampled token, teacher top-K} × {no gate, block 64, newline span}.

Numbers are those of arXiv 2606.24084, which are also the defaults of the job spec. Neither the teacher's
weights nor the problem texts can be shipped: each description says what has to be supplied.
"""

from pydantic import BaseModel, ConfigDict

from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec
from service.jobs.loss_spec import (
    GateSpec,
    Granularity,
    Objective,
    SampledTokenObjective,
    TeacherTopKObjective,
)
from service.jobs.problem_sources import PromptsSpec, PublishedSet, PublishedSource
from service.jobs.spec import ComputeSpec, JobSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.teacher_spec import TeacherSpec

STUDENT = "Qwen/Qwen3-1.7B-Base"
TEACHER = "Qwen3-4B-Base-GRPO"
PROMPTS = PublishedSet.DAPO_MATH_17K
BENCHMARKS = (
    PublishedSet.MATH500,
    PublishedSet.AIME24,
    PublishedSet.AIME25,
    PublishedSet.AMC23,
)

# Not published, and changes no result beyond rounding: by plan, one GPU of 80 GB holds all of it in bfloat16, every
# response at its limit. With vLLM, which lets sequences wait for room, a larger batch is faster.
COMPUTE = ComputeSpec(rollout_batch_size=32, gradient_checkpointing=True, offload="both")

TO_SUPPLY = (
    f"To supply: the teacher as the folder {TEACHER} below the model root (Qwen3-4B-Base after GRPO on "
    f"mathematics; not on the hub), and {PublishedSet.AIME25}.jsonl in the folder of benchmarks, "
    "DRIFTGATE_BENCHMARKS_DIR (a JSON object a line: id, problem, answer), because no verified copy of "
    f"it is on the hub. The student {STUDENT}, the {PROMPTS} prompts and the other benchmarks "
    f"({', '.join(name for name in BENCHMARKS if name != PublishedSet.AIME25)}) come from the hub where "
    "that folder lacks them."
)


class Preset(BaseModel):
    """A named job spec, ready to be sent after what its description asks for is in place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    spec: JobSpec


def published_presets() -> tuple[Preset, ...]:
    """The six variants, the ungated one of each objective first."""
    objectives: tuple[tuple[str, str, Objective], ...] = (
        (
            "sampled-token",
            "Sampled-token policy gradient with the PPO clip",
            SampledTokenObjective(),
        ),
        ("teacher-topk", "Teacher top-32 local support matching", TeacherTopKObjective()),
    )
    gates = (
        ("", "without gate", GateSpec(granularity=Granularity.NONE)),
        ("-block-64", "with the gate over blocks of 64 tokens", GateSpec()),
        (
            "-newline-span",
            "with the gate over newline spans (16 to 128 tokens: the published lengths are unknown)",
            GateSpec(granularity=Granularity.NEWLINE_SPAN),
        ),
    )
    return tuple(
        _published(
            f"{objective_name}{gate_name}", f"{objective_text}, {gate_text}", objective, gate
        )
        for objective_name, objective_text, objective in objectives
        for gate_name, gate_text, gate in gates
    )


def _published(name: str, summary: str, objective: Objective, gate: GateSpec) -> Preset:
    return Preset(
        name=name,
        description=f"{summary}. {TO_SUPPLY}",
        spec=JobSpec(
            name=name,
            labels={"preset": name},
            student=ModelSpec(model=STUDENT),
            teacher=TeacherSpec(model=TEACHER),
            prompts=PromptsSpec(problems=PublishedSource(name=PROMPTS)),
            objective=objective,
            gate=gate,
            compute=COMPUTE,
            evaluation=EvaluationSpec(
                benchmarks=tuple(
                    BenchmarkSpec(name=benchmark, problems=PublishedSource(name=benchmark))
                    for benchmark in BENCHMARKS
                )
            ),
        ),
    )
