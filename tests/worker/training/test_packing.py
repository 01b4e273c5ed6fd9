"""Packed rows against padded ones and against each sequence alone, in float64: the same to rounding."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from service.errors import DriftgateError, ErrorCode
from service.jobs.loss_spec import GateSpec
from service.jobs.spec import ComputeSpec, JobSpec
from tests.worker.training.tiny_models import (
    CPU,
    EOS,
    NEWLINE,
    PAD,
    RULES,
    VOCABULARY_SIZE,
    random_rollouts,
    tiny_qwen3,
)
from worker.rollouts.engine import FinishReason, Response, RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.batching import MicroBatch, Rollout, cut_into_micro_batches
from worker.training.models import checkpoint_layers
from worker.training.packing import choose_packing, packed_arguments
from worker.training.teacher import LocalTeacher
from worker.training.update import ScoredMicroBatch, accumulate_gradient, log_probs_of

SIZES = {
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
}
PACKED = ComputeSpec(layout="packed")


def other_family(family: str) -> PreTrainedModel:
    torch.manual_seed(1)
    model = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=None)),
    }[family]()
    return model.to(torch.float64).eval()


def cut(rollouts: list[Rollout], *, is_packed: bool, max_tokens: int = 40) -> list[MicroBatch]:
    return cut_into_micro_batches(
        rollouts,
        gate=GateSpec(block_size=4),
        rules=RULES,
        drift_map_block_size=4,
        max_tokens=max_tokens,
        device=CPU,
        is_packed=is_packed,
    )


def packed_model(model: PreTrainedModel) -> PreTrainedModel:
    assert choose_packing(PACKED, [model], device=CPU)
    return model


def test_positions_of_two_packed_responses_by_hand() -> None:
    short, long = (
        Response((9,), FinishReason.LENGTH),
        Response((2, NEWLINE, 3), FinishReason.LENGTH),
    )
    (batch,) = cut([Rollout((7, 8), short), Rollout((7,), long)], is_packed=True)
    assert batch.input_ids_BS.tolist() == [[7, 2, NEWLINE, 3, 7, 8, 9]]
    assert batch.positions_N.tolist() == [0, 1, 2, 4 + 1]  # one before each token
    assert batch.packed_lengths == (4, 3)


def test_packed_rows_hold_no_padding_and_the_tokens_in_the_same_order() -> None:
    rollouts = random_rollouts(3, count=30)
    padded, packed = (cut(rollouts, is_packed=each, max_tokens=60) for each in (False, True))
    sizes = [sum(batch.input_ids_BS.numel() for batch in each) for each in (padded, packed)]
    assert sizes[0] > sizes[1] == sum(rollout.num_tokens for rollout in rollouts)
    assert all(batch.input_ids_BS.numel() <= 60 for batch in packed)
    in_order = [torch.cat([batch.tokens_N for batch in each]).tolist() for each in (padded, packed)]
    assert in_order[0] == in_order[1]


@pytest.mark.parametrize("family", ["qwen3", "llama", "qwen2", "mistral"])
def test_a_packed_pass_is_that_of_each_sequence_alone(family: str) -> None:
    model = tiny_qwen3(1) if family == "qwen3" else other_family(family)
    longest_first = sorted(random_rollouts(3), key=lambda rollout: -rollout.num_tokens)
    alone = [cut([rollout], is_packed=False)[0] for rollout in longest_first]
    expected_N = torch.cat([log_probs_of(model, batch) for batch in alone])
    (together,) = cut(longest_first, is_packed=True, max_tokens=10_000)
    actual_N = log_probs_of(packed_model(model), together)
    torch.testing.assert_close(actual_N, expected_N, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("is_checkpointed", [False, True])
@pytest.mark.parametrize("objective", [{"type": "sampled_token"}, {"type": "teacher_topk", "k": 5}])
def test_gradients_of_packed_and_padded_updates_are_equal(
    objective: dict, is_checkpointed: bool
) -> None:
    spec = JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "objective": objective,
            "gate": {"block_size": 4},
        }
    )
    gradients = []
    for is_packed in (False, True):
        student, behaviour, teacher = (tiny_qwen3(seed) for seed in (1, 3, 2))
        if is_packed:
            for model in (student, behaviour, teacher):
                packed_model(model)
        if is_checkpointed:
            checkpoint_layers(student)
        batches = cut(random_rollouts(4), is_packed=is_packed)
        scores = LocalTeacher(teacher, objective=spec.objective).score(batches)
        minibatch = [
            ScoredMicroBatch(batch, score, log_probs_of(behaviour, batch))
            for batch, score in zip(batches, scores, strict=True)
        ]
        accumulate_gradient(student, minibatch, spec=spec, shuffle_seed=3)
        gradients.append(torch.cat([p.grad.flatten() for p in student.parameters()]))
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-12)
    assert gradients[0].abs().max() > 0


def test_a_model_that_packs_samples_and_is_saved_as_before(tmp_path: Path) -> None:
    def sampled(model: PreTrainedModel) -> list:
        engine = TransformersEngine(
            model, eos_token_ids=frozenset({EOS}), pad_token_id=PAD, device=CPU, max_batch_size=8
        )
        # Prompts of two lengths, so that one is masked.
        requests = [RolloutRequest((3, 4, 5), (1, 2)), RolloutRequest((6,), (3,))]
        params = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=9)
        return engine.generate(requests, sampling=params)

    model = packed_model(tiny_qwen3(1))
    assert sampled(model) == sampled(tiny_qwen3(1))
    model.save_pretrained(tmp_path)
    assert "sdpa_packed" not in json.dumps(json.loads((tmp_path / "config.json").read_text()))


def test_a_decoder_that_loses_the_lengths_does_not_compute_across_sequences() -> None:
    model = packed_model(tiny_qwen3(1))
    (batch,) = cut(random_rollouts(3), is_packed=True, max_tokens=10_000)
    arguments = packed_arguments(batch.sequence_lengths, CPU)
    del arguments["packed"]
    with pytest.raises(AssertionError, match="the lengths were lost on the way"):
        model(input_ids=batch.input_ids_BS, use_cache=False, **arguments)


def test_on_a_cpu_rows_are_padded_unless_asked_for() -> None:
    assert not choose_packing(ComputeSpec(), [tiny_qwen3(1)], device=CPU)
    assert not choose_packing(
        ComputeSpec(layout="padded"), [tiny_qwen3(1)], device=torch.device("cuda")
    )


def test_on_a_gpu_rows_are_packed_where_the_models_can_be() -> None:
    sliding = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=8))
    device = torch.device("cuda")
    assert choose_packing(ComputeSpec(), [tiny_qwen3(1)], device=device)
    assert not choose_packing(ComputeSpec(), [tiny_qwen3(1), sliding], device=device)


def test_a_family_that_is_not_known_to_pack_is_refused_where_packing_is_asked_for() -> None:
    sliding = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=8))
    with pytest.raises(DriftgateError, match="MistralForCausalLM is not known") as raised:
        choose_packing(PACKED, [sliding], device=CPU)
    assert raised.value.code is ErrorCode.INVALID_SPEC
    assert raised.value.violations[0].field == "compute.layout"
