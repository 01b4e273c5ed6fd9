"""The four jobs of the demo: small enough for two CPU cores, long enough to learn."""

from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec, SamplingProfile
from service.jobs.loss_spec import (
    GateSpec,
    Granularity,
    Objective,
    SampledTokenObjective,
    TeacherTopKObjective,
)
from service.jobs.problem_sources import ArithmeticSource, PromptsSpec
from service.jobs.spec import (
    CheckpointSpec,
    ComputeSpec,
    JobSpec,
    OptimizerSpec,
    ReuseSpec,
    RolloutSpec,
)
from service.jobs.spec_fields import ModelSpec
from service.jobs.teacher_spec import TeacherSpec

LABEL = "demo"
BLOCK_SIZE = 16
TEACHER_SUPPORT = 4
LEARNING_RATES = {"sampled_token": 2e-4, "teacher_topk": 4e-4}


def demo_spec(name: str, objective: Objective, gate: GateSpec, seed: int) -> JobSpec:
    """One job of the demo; jobs that differ only in their gate are a pair."""
    return JobSpec(
        name=name,
        labels={LABEL: str(seed)},
        student=ModelSpec(model="builtin/arithmetic-student"),
        teacher=TeacherSpec(model="builtin/arithmetic-teacher"),
        prompts=PromptsSpec(problems=ArithmeticSource(num_problems=5000, seed=seed)),
        objective=objective,
        gate=gate,
        steps=60,
        reuse=ReuseSpec(epochs=4, minibatches=1),
        rollout=RolloutSpec(
            prompts_per_step=16,
            samples_per_prompt=4,
            max_prompt_tokens=64,
            max_response_tokens=112,
            temperature=1.0,
            top_p=1.0,
        ),
        optimizer=OptimizerSpec(learning_rate=LEARNING_RATES[objective.type]),
        evaluation=EvaluationSpec(
            benchmarks=(
                BenchmarkSpec(
                    name="arithmetic", problems=ArithmeticSource(num_problems=200, seed=seed)
                ),
            ),
            samples_per_problem=8,
            k=(1, 8),
            profile=SamplingProfile.POLICY,
            max_response_tokens=112,
            seed=seed,
        ),
        checkpoint=CheckpointSpec(every_steps=20),
        # Small enough for the cores' caches: a fifth faster than whole minibatches.
        compute=ComputeSpec(max_tokens_per_microbatch=2048),
        drift_map_block_size=BLOCK_SIZE,
        seed=seed,
    )


def demo_specs(seed: int) -> tuple[JobSpec, ...]:
    """Both objectives, each without a gate and with the block gate."""
    sampled_token, teacher_topk = SampledTokenObjective(), TeacherTopKObjective(k=TEACHER_SUPPORT)
    no_gate = GateSpec(granularity=Granularity.NONE)
    block_gate = GateSpec(granularity=Granularity.BLOCK, block_size=BLOCK_SIZE)
    return (
        demo_spec("sampled token", sampled_token, no_gate, seed),
        demo_spec("sampled token, block gate", sampled_token, block_gate, seed),
        demo_spec("teacher top-K", teacher_topk, no_gate, seed),
        demo_spec("teacher top-K, block gate", teacher_topk, block_gate, seed),
    )
