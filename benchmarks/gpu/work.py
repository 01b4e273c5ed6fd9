"""Random rollouts of a shape, cut into packs, and the job that trains on them."""

import torch

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.shapes import Shape
from service.jobs.loss_spec import Objective, SampledTokenObjective
from service.jobs.problem_sources import ArithmeticSource, PromptsSpec
from service.jobs.spec import ComputeSpec, JobSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.teacher_spec import TeacherSpec
from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import MicroBatch, Rollout, TokenRules, cut_into_micro_batches

PACKED = ComputeSpec(layout="packed")


def spec_of(objective: Objective | None = None) -> JobSpec:
    """A job with nothing else set: the block gate over 64 tokens."""
    return JobSpec(
        student=ModelSpec(model="builtin/arithmetic-student"),
        teacher=TeacherSpec(model="builtin/arithmetic-teacher"),
        prompts=PromptsSpec(problems=ArithmeticSource()),
        objective=objective or SampledTokenObjective(),
    )


def packs(shape: Shape, machine: Machine, *, is_packed: bool = True) -> list[MicroBatch]:
    """An update's minibatch of sequences of many lengths, half to one and a half times the shape's."""
    num_sequences = shape.num_packs * shape.pack_tokens // shape.sequence_tokens
    generator = torch.Generator().manual_seed(0)
    shares = torch.linspace(0.5, 1.5, num_sequences)[
        torch.randperm(num_sequences, generator=generator)
    ]
    rollouts = []
    for share in shares.tolist():
        num_tokens = max(shape.prompt_tokens + 1, int(share * shape.sequence_tokens))
        tokens = torch.randint(
            2, shape.vocabulary_size, (num_tokens,), generator=generator
        ).tolist()
        prompt, response = tokens[: shape.prompt_tokens], tokens[shape.prompt_tokens :]
        rollouts.append(Rollout(tuple(prompt), Response(tuple(response), FinishReason.LENGTH)))
    return cut_into_micro_batches(
        rollouts,
        gate=spec_of().gate,
        rules=TokenRules(0, frozenset(), frozenset()),
        drift_map_block_size=64,
        max_tokens=shape.pack_tokens,
        device=machine.device,
        is_packed=is_packed,
    )
