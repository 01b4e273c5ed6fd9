"""Counts worked by hand, and against the products that torch counts in the worker's own update."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3ForCausalLM

from service.jobs.spec import JobSpec
from service.preflight.architecture import Architecture, read_architecture
from service.preflight.tensor_sizes import chunk_tokens
from service.preflight.work import job_work, needs_gate_beforehand, step_work
from worker.rollouts.engine import FinishReason, Response
from worker.training.adapter import add_adapter
from worker.training.batching import MicroBatch, Rollout, TokenRules, cut_into_micro_batches
from worker.training.head import TeacherScores
from worker.training.models import checkpoint_layers
from worker.training.update import ScoredMicroBatch, accumulate_gradient
from worker.training.weighing import chunks_of_whole_units

PROMPT, RESPONSE, NUM_RESPONSES = 10, 6, 4
SUPPORT = 5
CONFIG = Qwen3Config(
    vocab_size=97,
    hidden_size=48,
    intermediate_size=80,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=16,
)
TOPK = {"objective": {"type": "teacher_topk", "k": SUPPORT}}
UNCLIPPED = {"objective": {"type": "sampled_token", "clip_range": None, "dual_clip": None}}


def architecture_of(config: Qwen3Config = CONFIG) -> Architecture:
    architecture = read_architecture(config.to_dict())
    assert isinstance(architecture, Architecture)
    return architecture


def spec_of(**changes: object) -> JobSpec:
    """Two prompts of two samples; one update a step."""
    fields: dict[str, object] = {
        "student": {"model": "student"},
        "teacher": {"model": "teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
        "reuse": {"epochs": 1},
        "rollout": {
            "prompts_per_step": 2,
            "samples_per_prompt": 2,
            "max_prompt_tokens": PROMPT,
            "max_response_tokens": RESPONSE,
        },
    }
    return JobSpec.model_validate(fields | changes)


def planned_step(spec: JobSpec):
    architecture = architecture_of()
    return step_work(spec, vocab_size=97, student=architecture, teacher=architecture)


def micro_batch_of(spec: JobSpec, *, response_tokens: int = RESPONSE) -> MicroBatch:
    """Responses at the limit, without a newline token."""
    response = Response((2,) * response_tokens, FinishReason.LENGTH)
    (batch,) = cut_into_micro_batches(
        [Rollout((3,) * PROMPT, response)] * NUM_RESPONSES,
        gate=spec.gate,
        rules=TokenRules(
            pad_token_id=0, masked_token_ids=frozenset(), newline_token_ids=frozenset()
        ),
        drift_map_block_size=8,
        max_tokens=100_000,
        device=torch.device("cpu"),
    )
    return batch


def counted_flops(spec: JobSpec, *, drifted: bool) -> int:
    """Of one update by the worker, all responses in one micro-batch."""
    torch.manual_seed(0)
    student = Qwen3ForCausalLM._from_config(CONFIG, attn_implementation="eager").eval()
    if spec.lora is not None:
        add_adapter(student, spec=spec.lora, seed=0)
    if spec.compute.gradient_checkpointing:
        checkpoint_layers(student)
    batch = micro_batch_of(spec)
    ids_NK = torch.arange(SUPPORT).repeat(batch.num_tokens, 1)
    teacher = TeacherScores(
        log_probs_N=torch.full((batch.num_tokens,), -1.0),
        support_NK=ids_NK,
        support_log_probs_NK=torch.full(ids_NK.shape, -2.0),
    )
    old_log_probs_N = torch.linspace(-5, -4, batch.num_tokens) if drifted else None
    scored = ScoredMicroBatch(batch, teacher, old_log_probs_N)
    # The counter does not know the product that is added in place.
    in_place = {torch.ops.aten.addmm_: flops_of_addmm}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        accumulate_gradient(student, [scored], spec=spec, shuffle_seed=0)
    return counter.get_total_flops()


def flops_of_addmm(_sum_shape, left_shape, right_shape, **_others) -> int:
    return 2 * left_shape[0] * left_shape[1] * right_shape[1]


def masked_attention_flops(num_passes: int) -> int:
    """What eager attention computes above the diagonal, and a causal kernel does not.

    A pair of positions costs 4 FLOPs a query element: 16·15 / 2 pairs of 4 sequences, 3 layers, 6·16.
    """
    return num_passes * 4 * 4 * (16 * 15 // 2) * 3 * 96


@pytest.mark.parametrize("changes", [UNCLIPPED, TOPK], ids=["sampled token", "teacher top-K"])
def test_an_update_costs_what_torch_counts(changes):
    spec = spec_of(**changes)
    counted = counted_flops(spec, drifted=False) - masked_attention_flops(3)

    # Norms are parameters, but no matrix products.
    assert planned_step(spec).updates.flops == pytest.approx(counted, rel=0.01)


def test_checkpointed_layers_cost_a_little_less_than_planned():
    spec = spec_of(**UNCLIPPED, compute={"gradient_checkpointing": True})
    counted = counted_flops(spec, drifted=False) - masked_attention_flops(4)
    planned = planned_step(spec).updates.flops

    # The last product of a layer need not be computed again: nothing in the layer keeps it.
    assert 0.95 * planned < counted < planned


def test_an_update_of_adapters_costs_a_little_less_than_planned():
    spec = spec_of(**UNCLIPPED, lora={"rank": 4})
    counted = counted_flops(spec, drifted=False) - masked_attention_flops(3)
    planned = planned_step(spec).updates.flops

    # Nothing flows back into the frozen embedding, so the first layer's inputs need no gradient.
    assert 0.9 * planned < counted < planned


def test_a_gate_that_is_found_beforehand_costs_one_forward_pass_more():
    spec = spec_of(**UNCLIPPED, gate={"strength": {"adaptive": 0.5}}, reuse={"epochs": 2})
    counted = counted_flops(spec, drifted=True) - masked_attention_flops(4)
    step = planned_step(spec)

    # Of the two updates of the step, the first is at unchanged weights and needs none.
    assert step.student_scoring.flops + step.updates.flops // 2 == pytest.approx(counted, rel=0.01)


@pytest.mark.parametrize("granularity", ["block", "token", "sequence", "newline_span"])
@pytest.mark.parametrize("normalization", ["minibatch", "sequence", "none"])
@pytest.mark.parametrize("response_tokens", [100, 200])
def test_a_gate_is_found_beforehand_where_the_worker_cannot_cut_chunks(
    granularity, normalization, response_tokens
):
    # A vocabulary of 151,936 makes chunks of 128 tokens.
    spec = spec_of(
        gate={"granularity": granularity, "normalization": normalization},
        rollout={"max_response_tokens": response_tokens},
    )
    chunks = chunks_of_whole_units(
        micro_batch_of(spec, response_tokens=response_tokens).units,
        spec=spec.gate,
        max_tokens=chunk_tokens(151_936),
    )

    assert needs_gate_beforehand(spec, 151_936) == (chunks is None)


def test_the_tokens_of_a_step_are_counted_by_phase():
    spec = spec_of(reuse={"epochs": 3, "minibatches": 2})
    step = planned_step(spec)

    # A rollout computes each of the two prompts once; what is scored carries its own: 4·16.
    assert step.rollout.tokens == 2 * 10 + 4 * 6
    assert step.teacher_scoring.tokens == 64
    # The old log-probs of the second half.
    assert step.student_scoring.tokens == 32
    assert step.updates.tokens == 3 * 64
    assert step.total.tokens == 44 + 64 + 32 + 192
    assert step.total.flops == sum(
        work.flops
        for work in (step.rollout, step.teacher_scoring, step.student_scoring, step.updates)
    )


def test_the_flops_of_a_forward_pass_are_those_worked_by_hand():
    step = planned_step(spec_of())

    # Layer: 2·48·96 + 2·48·32 + 3·48·80 + 2·48 + 2·16 = 23,936; body 3·23,936 + 48 = 71,856; head 97·48.
    body, head = 71_856, 4656
    # Positions 1 to 16 attend to as many: 136 a sequence, 4 FLOPs a query element, 3 layers of 96.
    assert step.teacher_scoring.flops == (2 * body * 64 + 2 * head * 24 + 4 * (4 * 136) * 3 * 96)
    # The two prompts once (55 contexts each), the four responses (136 − 55 each).
    assert step.rollout.flops == (2 * body * 44 + 2 * head * 24 + 4 * (2 * 55 + 4 * 81) * 3 * 96)


def test_a_job_is_its_steps_and_the_student_evaluated_twice():
    benchmark = {"problems": {"source": "arithmetic"}}
    evaluation = {
        "benchmarks": [benchmark | {"name": "a"}, benchmark | {"name": "b"}],
        "samples_per_problem": 8,
        "max_response_tokens": 20,
        "reverse_kl_problems": 0,
    }
    spec = spec_of(steps=7, evaluation=evaluation)
    with_teacher = spec_of(steps=7, evaluation=evaluation | {"evaluate_teacher": True})

    def work_of(spec: JobSpec):
        return job_work(
            spec,
            planned_step(spec),
            student=architecture_of(),
            teacher=architecture_of(),
            num_benchmark_problems=(5, 3),
        )

    job = work_of(spec)

    # 8 problems: prompts of 10 once, 8 samples of 20.
    assert job.evaluation.tokens == 2 * 8 * (10 + 8 * 20)
    assert job.training.flops == 7 * planned_step(spec).total.flops
    assert job.total.flops == job.training.flops + job.evaluation.flops
    assert 2 * work_of(with_teacher).evaluation.flops == 3 * job.evaluation.flops


def test_the_distance_to_the_teacher_costs_a_response_a_problem_and_three_passes_over_it_twice():
    benchmark = {"problems": {"source": "arithmetic"}}
    evaluation = {"benchmarks": [benchmark | {"name": "a"}, benchmark | {"name": "b"}]}

    def evaluation_of(reverse_kl_problems: int):
        spec = spec_of(evaluation=evaluation | {"reverse_kl_problems": reverse_kl_problems})
        return job_work(
            spec,
            planned_step(spec),
            student=architecture_of(),
            teacher=architecture_of(),
            num_benchmark_problems=(5, 3),
        ).evaluation

    without, measured = evaluation_of(0), evaluation_of(4)

    # 4 and 3 problems; a step scores 4 responses.
    num_passes = 2 * 3 * (4 + 3)
    assert measured.tokens - without.tokens == num_passes * (PROMPT + RESPONSE)
    step = planned_step(spec_of())
    assert 4 * (measured.flops - without.flops) == num_passes * step.teacher_scoring.flops


def test_evaluations_during_training_are_of_the_subset_and_leave_out_the_last_step():
    benchmark = {"name": "a", "problems": {"source": "arithmetic"}, "samples_per_problem": 16}
    evaluation = {"benchmarks": [benchmark], "max_response_tokens": 20, "reverse_kl_problems": 0}
    during = {"every_steps": 3, "max_problems": 2}
    spec = spec_of(steps=9, evaluation=evaluation | {"during_training": during})

    job = job_work(
        spec,
        planned_step(spec),
        student=architecture_of(),
        teacher=architecture_of(),
        num_benchmark_problems=(5,),
    )

    # 5 problems before and after, 2 after the steps 3 and 6; prompts of 10 once, 16 samples of 20.
    assert job.evaluation.tokens == (2 * 5 + 2 * 2) * (10 + 16 * 20)


def test_without_the_shapes_tokens_are_known_and_flops_are_not():
    spec = spec_of()
    step = step_work(spec, vocab_size=97, student=None, teacher=architecture_of())
    job = job_work(spec, step, student=None, teacher=architecture_of(), num_benchmark_problems=())

    assert step.teacher_scoring.flops == planned_step(spec).teacher_scoring.flops
    assert step.total.tokens == planned_step(spec).total.tokens
    assert [work.flops for work in (step.rollout, step.updates, step.total, job.total)] == [
        None
    ] * 4
