"""Model FLOPs against what torch counts, and by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3ForCausalLM

from service.jobs.loss_spec import SampledTokenObjective, TeacherTopKObjective
from service.jobs.spec import LoraSpec
from worker.training.adapter import add_adapter
from worker.training.model_flops import (
    Sequences,
    continued,
    forward_flops,
    model_shape,
    sampled_sequences,
    update_flops,
    whole_sequences,
)

NUM_ROWS, LENGTH = 2, 16


def qwen3(*, tied: bool = True) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=tied,
    )
    return Qwen3ForCausalLM._from_config(config, attn_implementation="eager").eval()


def counted(model: Qwen3ForCausalLM, *, with_backward: bool) -> int:
    """Of all logits of two rows, without what eager attention computes above the diagonal."""
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.ones(NUM_ROWS, LENGTH, dtype=torch.long), use_cache=False).logits
        if with_backward:
            logits.sum().backward()
    num_masked_pairs = NUM_ROWS * LENGTH * (LENGTH - 1) // 2
    num_passes = 3 if with_backward else 1
    return counter.get_total_flops() - num_passes * 4 * num_masked_pairs * 3 * 96


@pytest.mark.parametrize("tied", [True, False])
def test_forward_and_update_cost_what_torch_counts(tied: bool) -> None:
    model = qwen3(tied=tied)
    shape, sequences = model_shape(model), whole_sequences([LENGTH] * NUM_ROWS)
    num_tokens = NUM_ROWS * LENGTH
    forward = forward_flops(shape, sequences, num_head_tokens=num_tokens)
    update = update_flops(
        shape,
        sequences,
        objective=SampledTokenObjective(),
        num_loss_tokens=num_tokens,
        num_observed_tokens=num_tokens,
    )
    # Norms are parameters, but no matrix products.
    assert forward == pytest.approx(counted(model, with_backward=False), rel=0.01)
    assert update == pytest.approx(counted(model, with_backward=True), rel=0.01)


def test_of_frozen_weights_there_is_no_gradient() -> None:
    model = qwen3()
    whole = model_shape(model).num_body_weights
    add_adapter(model, spec=LoraSpec(rank=4, target_modules=("q_proj",)), seed=0)
    shape = model_shape(model)
    # 3 layers, rank 4, 48 inputs and 96 outputs.
    num_adapter = 3 * 4 * (48 + 96)
    assert (shape.num_body_weights, shape.num_trained_body_weights) == (
        whole + num_adapter,
        num_adapter,
    )
    flops = update_flops(
        shape,
        Sequences(10, 0),
        objective=SampledTokenObjective(),
        num_loss_tokens=4,
        num_observed_tokens=4,
    )
    assert flops == 10 * (4 * whole + 6 * num_adapter) + 4 * 4 * 97 * 48


def test_the_top_k_objective_differentiates_the_rows_of_its_support() -> None:
    shape = model_shape(qwen3())
    flops = update_flops(
        shape,
        Sequences(0, 0),
        objective=TeacherTopKObjective(k=5),
        num_loss_tokens=8,
        num_observed_tokens=2,
    )
    # Three products with 5 rows of 48 for 8 tokens; logits of 2 tokens.
    assert flops == 6 * 5 * 48 * 8 + 2 * 97 * 48 * 2


def test_contexts_by_hand() -> None:
    # Positions 1 to 4; behind 2 others 3 and 4.
    assert whole_sequences([4]) == Sequences(4, 1 + 2 + 3 + 4)
    assert continued(2, 2) == Sequences(2, 3 + 4)


def test_a_prompt_is_computed_once_for_all_its_samples() -> None:
    # Two responses of 1 and 2 tokens to a prompt of 3, one of 1 to a prompt of 1.
    sampled = [("a", 3, 1), ("a", 3, 2), ("b", 1, 1)]
    assert sampled_sequences(sampled) == Sequences(3 + 1 + 4, 6 + 1 + 4 + (4 + 5) + 2)
