"""What the studies of docs/evidence.md train: the built-in student, on short chains of arithmetic, with blocks of 16."""

from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec, SamplingProfile
from service.jobs.loss_spec import GateSpec, Granularity, SampledTokenObjective
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

BLOCK_SIZE = 16
# The teacher knows 42 characters; four of them hold nearly all of its probability.
TEACHER_SUPPORT = 4
MAX_RESPONSE_TOKENS = 112


def base_spec(*, steps: int, num_problems: int, problems_seed: int) -> JobSpec:
    """The ungated arm: sampled token, clipped, frozen advantage. About half a minute of one CPU core.

    problems_seed: of the held-out problems; every study has its own, so that what one chose another confirms.
    """
    return JobSpec(
        student=ModelSpec(model="builtin/arithmetic-student"),
        teacher=TeacherSpec(model="builtin/arithmetic-teacher"),
        prompts=PromptsSpec(problems=ArithmeticSource(num_problems=5000, seed=problems_seed)),
        objective=SampledTokenObjective(),
        gate=GateSpec(granularity=Granularity.NONE, block_size=BLOCK_SIZE),
        steps=steps,
        reuse=ReuseSpec(epochs=4, minibatches=1),
        rollout=RolloutSpec(
            prompts_per_step=8,
            samples_per_prompt=4,
            max_prompt_tokens=64,
            max_response_tokens=MAX_RESPONSE_TOKENS,
            temperature=1.0,
            top_p=1.0,
        ),
        optimizer=OptimizerSpec(learning_rate=4e-4),
        evaluation=EvaluationSpec(
            benchmarks=(
                BenchmarkSpec(
                    name="held-out",
                    problems=ArithmeticSource(num_problems=num_problems, seed=problems_seed),
                ),
            ),
            samples_per_problem=8,
            k=(1, 8),
            profile=SamplingProfile.POLICY,
            max_response_tokens=MAX_RESPONSE_TOKENS,
        ),
        checkpoint=CheckpointSpec(every_steps=steps),
        # An evaluation in few large batches: a token of so small a model costs as much for 8 as for 256.
        compute=ComputeSpec(rollout_batch_size=256, max_tokens_per_microbatch=2048),
        drift_map_block_size=BLOCK_SIZE,
    )
