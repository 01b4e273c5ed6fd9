"""What one of several GPUs needs: its share, and what it puts together for a time."""

import pytest

from service.jobs.plans import MemoryPlan
from service.jobs.spec import JobSpec
from service.preflight.architecture import Architecture, read_architecture
from service.preflight.memory import memory_plans

CONFIG = {
    "model_type": "qwen3",
    "vocab_size": 1000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
}


@pytest.fixture
def architecture() -> Architecture:
    found = read_architecture(CONFIG)
    assert isinstance(found, Architecture)
    return found


def plan_of(architecture: Architecture, gpus: int) -> MemoryPlan:
    spec = JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "rollout": {"prompts_per_step": 1, "samples_per_prompt": 1, "max_response_tokens": 2},
            "compute": {"dtype": "bfloat16"},
            "resources": {"gpus": gpus},
        }
    )
    (plan,) = memory_plans(
        spec, vocab_size=1000, student=architecture, teacher=architecture, num_benchmark_problems=()
    )
    return plan


def test_each_gpu_has_its_share_of_what_is_kept(architecture):
    one, four = plan_of(architecture, 1), plan_of(architecture, 4)

    for part in ("student_weights", "teacher_weights", "optimizer_states", "gradients"):
        whole, share = (getattr(plan, f"{part}_bytes") for plan in (one, four))
        assert share == -(-whole // 4)


def test_what_is_put_together_for_a_time_counts_towards_the_peak(architecture):
    plan, counts = plan_of(architecture, 4), architecture.parameter_counts()
    kept = plan.student_weights_bytes + plan.teacher_weights_bytes + plan.optimizer_states_bytes
    working = plan.gradients_bytes + plan.activations_bytes + plan.head_chunk_bytes

    # bfloat16: all weights to sample from, which are more than 8 bytes for each of the embeddings' 64,000.
    whole = 2 * counts.total
    assert whole > 8 * counts.embedding
    assert plan.peak_bytes == kept + working + plan.targets_bytes + whole


def test_a_teacher_of_unknown_shape_leaves_the_peak_unknown(architecture):
    spec = JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "resources": {"gpus": 2},
        }
    )
    for plan in memory_plans(
        spec, vocab_size=1000, student=architecture, teacher=None, num_benchmark_problems=()
    ):
        assert plan.peak_bytes is None
