"""What the studies of docs/evidence.md train: a built-in student on chains of arithmetic.

Short responses are 8 to 12 lines, with blocks of 16; long ones are 14 lines in which every operation is counted out,
about 550 tokens, with blocks of 64.
"""

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

BLOCK_SIZE, LONG_BLOCK_SIZE = 16, 64
# The teacher knows 42 characters; four of them hold nearly all of its probability.
TEACHER_SUPPORT = 4
MAX_RESPONSE_TOKENS, LONG_MAX_RESPONSE_TOKENS = 112, 768
LONG_CHAIN = 14


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


def long_base_spec(*, steps: int, num_problems: int, problems_seed: int) -> JobSpec:
    """The ungated arm on long responses: eight rollouts a step, which are as many tokens as 55 short ones."""
    problems = ArithmeticSource(
        num_problems=5000, min_operations=LONG_CHAIN, max_operations=LONG_CHAIN, seed=problems_seed
    )
    held_out = problems.model_copy(update={"num_problems": num_problems})
    short = base_spec(steps=steps, num_problems=num_problems, problems_seed=problems_seed)
    return short.model_copy(
        update={
            "student": ModelSpec(model="builtin/arithmetic-long-student"),
            "teacher": TeacherSpec(model="builtin/arithmetic-long-teacher"),
            "prompts": PromptsSpec(problems=problems),
            "gate": GateSpec(granularity=Granularity.NONE, block_size=LONG_BLOCK_SIZE),
            "rollout": short.rollout.model_copy(
                update={
                    "prompts_per_step": 4,
                    "samples_per_prompt": 2,
                    "max_response_tokens": LONG_MAX_RESPONSE_TOKENS,
                }
            ),
            "evaluation": short.evaluation.model_copy(
                update={
                    "benchmarks": (BenchmarkSpec(name="held-out", problems=held_out),),
                    "max_response_tokens": LONG_MAX_RESPONSE_TOKENS,
                }
            ),
            "drift_map_block_size": LONG_BLOCK_SIZE,
        }
    )
