"""The parity probe against engines whose log-probs are known: true, of other weights, and none."""

import pytest
import torch

from service.errors import DriftgateError, ErrorCode
from tests.worker.training.tiny_models import VOCABULARY_SIZE, tiny_qwen3
from worker.rollouts.parity import ScoredTokens, check_parity, probe_prompts


@torch.no_grad()
def scored_by(model, prompts) -> list[ScoredTokens]:
    log_probs_PSV = model(input_ids=torch.tensor(prompts)).logits.log_softmax(dim=-1)
    return [
        ScoredTokens(
            prompt,
            tuple(log_probs_SV[s, token].item() for s, token in enumerate(prompt[1:])),
        )
        for prompt, log_probs_SV in zip(prompts, log_probs_PSV, strict=True)
    ]


PROMPTS = probe_prompts(vocabulary_size=VOCABULARY_SIZE, num_tokens=12)


def test_prompts_are_the_same_every_time_and_all_over_the_vocabulary() -> None:
    assert probe_prompts(vocabulary_size=VOCABULARY_SIZE, num_tokens=12) == PROMPTS
    assert len({token for prompt in PROMPTS for token in prompt}) > VOCABULARY_SIZE / 2
    assert all(0 <= token < VOCABULARY_SIZE for prompt in PROMPTS for token in prompt)


def test_a_true_copy_has_no_gap() -> None:
    copy = tiny_qwen3(3, dtype=torch.float32)
    gap_nats = check_parity(
        tiny_qwen3(3, dtype=torch.float32), scored_by(copy, PROMPTS), engine_name="A copy"
    )
    assert gap_nats < 1e-5


def test_the_gap_is_the_largest_of_all_tokens() -> None:
    model = tiny_qwen3(3)
    scored = scored_by(model, PROMPTS)
    bent = list(scored[2].log_probs)
    bent[5] -= 0.0004
    bent[6] += 0.0002
    scored[2] = ScoredTokens(scored[2].token_ids, tuple(bent))

    assert check_parity(model, scored, engine_name="A copy") == pytest.approx(0.0004, abs=1e-9)


def test_a_copy_one_update_old_is_refused_with_both_numbers() -> None:
    stale, model = tiny_qwen3(3), tiny_qwen3(3)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1.02)

    with pytest.raises(
        DriftgateError, match=r"A copy differs .* by 0\.\d+ nats .* at most 0\.001"
    ) as refusal:
        check_parity(model, scored_by(stale, PROMPTS), engine_name="A copy")

    assert refusal.value.code is ErrorCode.ENGINE_OUT_OF_SYNC


def test_log_probs_that_are_no_numbers_are_refused() -> None:
    scored = [ScoredTokens(prompt, (float("nan"),) * (len(prompt) - 1)) for prompt in PROMPTS]
    with pytest.raises(DriftgateError, match="nan nats"):
        check_parity(tiny_qwen3(3), scored, engine_name="A copy")


def test_half_precision_leaves_room_for_its_rounding_and_no_more() -> None:
    model = tiny_qwen3(3, dtype=torch.bfloat16)
    exact = scored_by(tiny_qwen3(3), PROMPTS)
    assert 0.01 < check_parity(model, exact, engine_name="A copy") < 0.5

    with pytest.raises(DriftgateError, match=r"rounding in bfloat16 on cpu explains at most 0\.5"):
        check_parity(model, scored_by(tiny_qwen3(4), PROMPTS), engine_name="A copy")
