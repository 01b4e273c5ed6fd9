"""The six published variants by name: {sampled token, teacher top-K} × {no gate, block 64, newline span}.

Numbers are those of arXiv 2606.24084, which are also the defaults of the job spec. Neither the teacher's
weights nor the problem texts can be shipped: each description says what has to be supplied.
"""

from pydantic import BaseModel, ConfigDict

from service.jobs.spec import (
    BenchmarkSpec,
    EvaluationSpec,
    FileSource,
    GateSpec,
    Granularity,
    JobSpec,
    ModelSpec,
    Objective,
    PromptsSpec,
    SampledTokenObjective,
    TeacherTopKObjective,
)

STUDENT = "Qwen/Qwen3-1.7B-Base"
TEACHER = "Qwen3-4B-Base-GRPO"
PROMPTS_FILE = "dapo-math-17k.jsonl"
BENCHMARKS = ("math500", "aime24", "aime25", "amc23")

TO_SUPPLY = (
    f"To supply: the teacher as the folder {TEACHER} below the model root (Qwen3-4B-Base after GRPO on "
    f"mathematics; not on the hub), the DAPO-Math-17k prompts as {PROMPTS_FILE} and the benchmarks as "
    f"{', '.join(f'{name}.jsonl' for name in BENCHMARKS)} below the dataset root (a JSON object a line: "
    f"id, problem, answer). The student {STUDENT} comes from the hub."
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
            teacher=ModelSpec(model=TEACHER),
            prompts=PromptsSpec(problems=FileSource(path=PROMPTS_FILE)),
            objective=objective,
            gate=gate,
            evaluation=EvaluationSpec(
                benchmarks=tuple(
                    BenchmarkSpec(name=benchmark, problems=FileSource(path=f"{benchmark}.jsonl"))
                    for benchmark in BENCHMARKS
                )
            ),
        ),
    )
