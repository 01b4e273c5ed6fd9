"""What a measurement of gradients adds to a job's plan."""

import pytest

from service.jobs.plans import MemoryPlan
from service.jobs.spec import JobSpec
from service.preflight.architecture import Architecture
from service.preflight.memory import memory_plans
from service.preflight.work import job_work, num_weightings
from tests.service.preflight.test_work import (
    TOPK,
    UNCLIPPED,
    architecture_of,
    planned_step,
    spec_of,
)
from worker.training.weightings import weightings


def training_of(spec: JobSpec, architecture: Architecture | None):
    return job_work(
        spec,
        planned_step(spec),
        student=architecture,
        teacher=architecture,
        num_benchmark_problems=(),
    ).training


def test_its_tokens_are_counted_with_the_training():
    wanted = {"num_batches": 2, "depths": [2], "fresh_samples_per_prompt": 3}
    plain = spec_of(**TOPK, steps=10)
    measured = spec_of(**TOPK, steps=10, diagnostics={"gradient_fidelity": wanted})
    # Two prompts of two responses, 10 and 6 tokens: 4 · 16 = 64 a pass; fresh 6 · 16 = 96, sampled 2 · 10 + 6 · 6 = 56.
    # Old log-probs 64; two updates with gates 2 · 128; sampling 56; five weightings 5 · 128; the reference by both
    # models on fresh responses 2 · 96 and on the batch 2 · 64: 1,336, twice.
    more = training_of(measured, None).tokens - training_of(plain, None).tokens
    assert more == 2 * 1336
    known, without = (training_of(each, architecture_of()).flops for each in (measured, plain))
    assert known > without > 0


def test_no_more_steps_are_counted_than_there_are():
    one, eight = (
        spec_of(**TOPK, steps=1, diagnostics={"gradient_fidelity": {"num_batches": num}})
        for num in (1, 8)
    )
    assert training_of(one, None) == training_of(eight, None)


@pytest.mark.parametrize("changes", [UNCLIPPED, TOPK], ids=["sampled token", "teacher top-K"])
def test_as_many_weightings_are_counted_as_are_compared(changes: dict):
    spec = spec_of(**changes)
    assert num_weightings(spec.objective) == len(weightings(spec))


def test_the_largest_rollout_may_be_that_of_a_measurement():
    rollout = {"prompts_per_step": 2, "max_prompt_tokens": 10, "max_response_tokens": 6}
    wanted = {"gradient_fidelity": {"fresh_samples_per_prompt": 9}}

    def planned(num_samples: int, **changes: object) -> MemoryPlan:
        spec = spec_of(**TOPK, rollout=rollout | {"samples_per_prompt": num_samples}, **changes)
        (plan, *_) = memory_plans(
            spec,
            vocab_size=97,
            student=architecture_of(),
            teacher=architecture_of(),
            num_benchmark_problems=(),
        )
        return plan

    few, measured, many = planned(2), planned(2, diagnostics=wanted), planned(9)
    assert few.rollout_cache_bytes < measured.rollout_cache_bytes == many.rollout_cache_bytes
    assert few.rollout_logits_bytes < measured.rollout_logits_bytes == many.rollout_logits_bytes
    # Two halves of nine responses are differentiated one after the other.
    assert few.activations_bytes < measured.activations_bytes < many.activations_bytes
