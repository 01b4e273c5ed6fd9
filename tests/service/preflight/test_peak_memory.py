"""The plan's peak of an update against what the worker's own update allocates."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import Qwen3Config, Qwen3ForCausalLM

from service.jobs.spec import JobSpec
from service.preflight.architecture import Architecture, read_architecture
from service.preflight.memory import memory_plans
from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import Rollout, TokenRules, cut_into_micro_batches
from worker.training.head import TeacherScores
from worker.training.models import checkpoint_layers
from worker.training.optimizer import StudentOptimizer
from worker.training.update import ScoredMicroBatch, accumulate_gradient

PROMPT, RESPONSE, NUM_RESPONSES = 32, 96, 4
VOCAB_SIZE = 4000
CONFIG = Qwen3Config(
    vocab_size=VOCAB_SIZE,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=8,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    tie_word_embeddings=True,
)


def spec_of(*, dtype: str, is_checkpointed: bool) -> JobSpec:
    """Four responses in micro-batches of two."""
    return JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "objective": {"type": "sampled_token", "clip_range": None, "dual_clip": None},
            "rollout": {
                "prompts_per_step": 2,
                "samples_per_prompt": 2,
                "max_prompt_tokens": PROMPT,
                "max_response_tokens": RESPONSE,
            },
            "compute": {
                "dtype": dtype,
                "gradient_checkpointing": is_checkpointed,
                "max_tokens_per_microbatch": 2 * (PROMPT + RESPONSE),
            },
        }
    )


def minibatch_of(spec: JobSpec) -> list[ScoredMicroBatch]:
    batches = cut_into_micro_batches(
        [Rollout((3,) * PROMPT, Response((2,) * RESPONSE, FinishReason.LENGTH))] * NUM_RESPONSES,
        gate=spec.gate,
        rules=TokenRules(
            pad_token_id=0, masked_token_ids=frozenset(), newline_token_ids=frozenset()
        ),
        drift_map_block_size=8,
        max_tokens=spec.compute.max_tokens_per_microbatch,
        device=torch.device("cpu"),
    )
    return [
        ScoredMicroBatch(
            batch,
            TeacherScores(
                log_probs_N=torch.full((batch.num_tokens,), -1.0),
                support_NK=None,
                support_log_probs_NK=None,
            ),
            torch.full((batch.num_tokens,), -5.0),
        )
        for batch in batches
    ]


def peak_of_update_bytes(spec: JobSpec, dtype: torch.dtype) -> int:
    """Largest sum of what is allocated and not yet freed, from the start of the update."""
    student = Qwen3ForCausalLM._from_config(CONFIG, attn_implementation="sdpa").to(dtype).eval()
    if spec.compute.gradient_checkpointing:
        checkpoint_layers(student)
    StudentOptimizer(student, spec=spec.optimizer)  # says in what dtype gradients are summed
    minibatch = minibatch_of(spec)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        accumulate_gradient(student, minibatch, spec=spec, shuffle_seed=0)
    events = [
        event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"
    ]
    allocated = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        allocated += event.nbytes()
        peak = max(peak, allocated)
    return peak


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("is_checkpointed", [False, True], ids=["whole", "checkpointed"])
def test_an_update_stays_below_its_plan_and_comes_near_it(dtype, is_checkpointed):
    spec = spec_of(dtype=str(dtype).removeprefix("torch."), is_checkpointed=is_checkpointed)
    architecture = read_architecture(CONFIG.to_dict())
    assert isinstance(architecture, Architecture)
    (plan,) = memory_plans(
        spec,
        vocab_size=VOCAB_SIZE,
        student=architecture,
        teacher=architecture,
        num_benchmark_problems=(),
    )
    planned = plan.gradients_bytes + plan.activations_bytes + plan.head_chunk_bytes

    # Below it, because the logits are gone before a checkpointed layer is computed again.
    assert 0.6 * planned < peak_of_update_bytes(spec, dtype) < planned
