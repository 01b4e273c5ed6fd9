"""Generation against the plain forward pass: right distribution, right ends, right order."""

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tests.worker.training.tiny_models import CPU, EOS, PAD, tiny_qwen3
from worker.rollouts.engine import FinishReason, RolloutRequest, SamplingParams
from worker.rollouts.lean_decoder import LeanDecoder
from worker.rollouts.sampling import sample_tokens, uniforms
from worker.rollouts.transformers_engine import TransformersEngine

PLAIN = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=24)


def tiny_qwen2():
    torch.manual_seed(3)
    return Qwen2ForCausalLM(Qwen2Config(num_key_value_heads=1, **SIZES)).double().eval()


def tiny_llama():
    torch.manual_seed(3)
    config = LlamaConfig(num_key_value_heads=2, tie_word_embeddings=False, **SIZES)
    return LlamaForCausalLM(config).double().eval()


def tiny_mistral():
    torch.manual_seed(3)
    return MistralForCausalLM(MistralConfig(num_key_value_heads=1, **SIZES)).double().eval()


def make_engine(*, max_batch_size: int = 64, eos: frozenset[int] = frozenset({EOS}), model=None):
    model = model or tiny_qwen3(3)
    engine = TransformersEngine(
        model, eos_token_ids=eos, pad_token_id=PAD, device=CPU, max_batch_size=max_batch_size
    )
    return engine, model


def sampled_without_cache(model, prompt: tuple[int, ...], seed: int) -> tuple[int, ...]:
    """One response, every token from a whole forward pass without padding or cache."""
    token_ids, response = list(prompt), []
    uniforms_T = uniforms([seed], PLAIN.max_response_tokens)[0]
    for uniform in uniforms_T:
        with torch.no_grad():
            logits_1V = model(input_ids=torch.tensor([token_ids])).logits[:, -1]
        token = int(sample_tokens(logits_1V, uniform[None], sampling=PLAIN))
        token_ids.append(token)
        response.append(token)
        if token == EOS:
            break
    return tuple(response)


SIZES = {
    "vocab_size": 29,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.5,
    "eos_token_id": EOS,
    "pad_token_id": PAD,
    "bos_token_id": None,
}

REQUESTS = [
    RolloutRequest((5, 6, 7), (11, 12, 13)),
    RolloutRequest((8,), (14,)),
    RolloutRequest((9, 10, 11, 12, 13, 14), tuple(range(20, 32))),
]


@pytest.mark.parametrize("max_batch_size", [1, 5, 64])
def test_cache_padding_batches_and_leaving_rows_change_no_token(max_batch_size: int) -> None:
    engine, model = make_engine(max_batch_size=max_batch_size)
    answers = engine.generate(REQUESTS, sampling=PLAIN)
    expected = [
        [sampled_without_cache(model, request.prompt_token_ids, seed) for seed in request.seeds]
        for request in REQUESTS
    ]
    assert [[r.token_ids for r in responses] for responses in answers] == expected
    lengths = {len(r.token_ids) for responses in answers for r in responses}
    assert len(lengths) > 3  # rows did leave the batch at different times


@pytest.mark.parametrize("make_model", [tiny_qwen2, tiny_llama, tiny_mistral])
def test_every_architecture_samples_what_its_own_forward_pass_says(make_model) -> None:
    engine, model = make_engine(model=make_model())
    answers = engine.generate(REQUESTS, sampling=PLAIN)
    expected = [
        [sampled_without_cache(model, request.prompt_token_ids, seed) for seed in request.seeds]
        for request in REQUESTS
    ]
    assert [[r.token_ids for r in responses] for responses in answers] == expected


def test_only_models_that_are_known_exactly_are_decoded_without_their_modules() -> None:
    assert all(LeanDecoder.fits(model) for model in (tiny_qwen3(3), tiny_qwen2(), tiny_llama()))
    assert not LeanDecoder.fits(tiny_mistral())


def test_eos_ends_a_response_and_belongs_to_it() -> None:
    engine, _ = make_engine()
    responses = [r for responses in engine.generate(REQUESTS, sampling=PLAIN) for r in responses]
    stopped = [r for r in responses if r.finish_reason is FinishReason.STOP]
    cut = [r for r in responses if r.finish_reason is FinishReason.LENGTH]
    assert stopped
    assert all(r.token_ids[-1] == EOS and EOS not in r.token_ids[:-1] for r in stopped)
    assert all(len(r.token_ids) == 24 and EOS not in r.token_ids for r in cut)


def test_several_end_tokens_are_all_obeyed() -> None:
    engine, _ = make_engine(eos=frozenset(range(29)))
    responses = [r for responses in engine.generate(REQUESTS, sampling=PLAIN) for r in responses]
    assert {len(r.token_ids) for r in responses} == {1}


def test_sampled_frequencies_are_the_probabilities() -> None:
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits_BV = probs.log().expand(40_000, 4)
    uniforms_B = torch.rand(40_000, generator=torch.Generator().manual_seed(0))
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=1)
    counts = torch.bincount(sample_tokens(logits_BV, uniforms_B, sampling=sampling), minlength=4)
    torch.testing.assert_close(counts / 40_000, probs, rtol=0, atol=0.01)


def test_the_nucleus_is_the_fewest_tokens_that_reach_top_p() -> None:
    probs = torch.tensor([0.15, 0.5, 0.05, 0.3])
    logits_BV = probs.log().expand(40_000, 4)
    uniforms_B = torch.rand(40_000, generator=torch.Generator().manual_seed(0))
    sampling = SamplingParams(temperature=1.0, top_p=0.75, max_response_tokens=1)
    counts = torch.bincount(sample_tokens(logits_BV, uniforms_B, sampling=sampling), minlength=4)
    expected = torch.tensor([0.0, 0.5 / 0.8, 0.0, 0.3 / 0.8])
    torch.testing.assert_close(counts / 40_000, expected, rtol=0, atol=0.01)
    assert counts[0] == counts[2] == 0


def test_top_k_keeps_the_most_likely_tokens_and_the_nucleus_is_of_what_is_kept() -> None:
    probs = torch.tensor([0.15, 0.5, 0.05, 0.3])
    logits_BV = probs.log().expand(40_000, 4)
    uniforms_B = torch.rand(40_000, generator=torch.Generator().manual_seed(0))

    def shares(*, top_p: float, top_k: int) -> torch.Tensor:
        sampling = SamplingParams(temperature=1.0, top_p=top_p, top_k=top_k, max_response_tokens=1)
        tokens = sample_tokens(logits_BV, uniforms_B, sampling=sampling)
        return torch.bincount(tokens, minlength=4) / 40_000

    two = torch.tensor([0.0, 0.5 / 0.8, 0.0, 0.3 / 0.8])
    torch.testing.assert_close(shares(top_p=1.0, top_k=2), two, rtol=0, atol=0.01)
    # Of the two kept, the first holds .625 of the mass: enough for .6 and not for .65.
    assert shares(top_p=0.6, top_k=2)[1] == 1
    torch.testing.assert_close(shares(top_p=0.65, top_k=2), two, rtol=0, atol=0.01)
    torch.testing.assert_close(shares(top_p=1.0, top_k=9), probs, rtol=0, atol=0.01)


def test_a_quantile_at_the_very_end_never_takes_an_impossible_token() -> None:
    logits_BV = torch.tensor([[0.0, 0.0, float("-inf")]])
    nearly_one = torch.tensor([1.0 - 2**-24])
    assert sample_tokens(logits_BV, nearly_one, sampling=PLAIN).item() == 1


def test_temperature_sharpens_the_distribution() -> None:
    logits_BV = torch.tensor([0.0, 1.0]).expand(20_000, 2)
    uniforms_B = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    sampling = SamplingParams(temperature=0.5, top_p=1.0, max_response_tokens=1)
    share = sample_tokens(logits_BV, uniforms_B, sampling=sampling).float().mean().item()
    assert share == pytest.approx(0.8808, abs=0.01)  # 1 / (1 + e^-2)
