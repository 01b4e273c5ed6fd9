"""What every engine promises, on each that is installed, against the model's own forward pass."""

import math
from collections import Counter

import pytest
import torch

from tests.worker.rollouts.engine_subjects import (
    ENGINES,
    EOS,
    MAX_SEQUENCE_TOKENS,
    VOCABULARY_SIZE,
    Subject,
    make_subject,
    small_qwen3,
)
from worker.rollouts.engine import FinishReason, RolloutRequest, SamplingParams

PLAIN = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=24)
GREEDY = SamplingParams(temperature=1.0, top_p=1.0, top_k=1, max_response_tokens=24)
NUM_SAMPLES = 3000


def tokens(count: int, *, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(2, VOCABULARY_SIZE, (count,), generator=generator).tolist())


# Lengths on both sides of a block of vLLM's cache (32), two prompts that begin alike, in no order of length.
PROMPTS = [
    tokens(5, seed=1),
    tokens(70, seed=2),
    (3,),
    (*tokens(70, seed=2)[:64], 9, 8),
    tokens(33, seed=3),
]
REQUESTS = [
    RolloutRequest(prompt, tuple(range(100 * place, 100 * place + 4)))
    for place, prompt in enumerate(PROMPTS)
]


@pytest.fixture(scope="module", params=ENGINES)
def subject(request) -> Subject:
    return make_subject(request.param)


@pytest.fixture(autouse=True)
def _weights_as_made(subject: Subject) -> None:
    subject.lent = None
    subject.take_weights_of(small_qwen3(1))


@torch.no_grad()
def argmax_continuation(model, prompt: tuple[int, ...], count: int) -> tuple[int, ...]:
    token_ids = list(prompt)
    for _ in range(count):
        token = int(model(input_ids=torch.tensor([token_ids])).logits[0, -1].argmax())
        token_ids.append(token)
        if token == EOS:
            break
    return tuple(token_ids[len(prompt) :])


def greedy_answers(subject: Subject) -> list[tuple[int, ...]]:
    requests = [RolloutRequest(prompt, (7,)) for prompt in PROMPTS]
    answers = subject.engine.generate(requests, sampling=GREEDY)
    return [response.token_ids for (response,) in answers]


def all_responses(subject: Subject, sampling: SamplingParams):
    answers = subject.engine.generate(REQUESTS, sampling=sampling)
    return [response for responses in answers for response in responses]


def exact_probs(model, prompt: tuple[int, ...], sampling: SamplingParams) -> torch.Tensor:
    """The distribution that `sampling` says, in float64, one token after another."""
    with torch.no_grad():
        logits_V = model(input_ids=torch.tensor([prompt])).logits[0, -1].double()
    probs_V = torch.softmax(logits_V / sampling.temperature, dim=-1)
    falling = sorted(range(VOCABULARY_SIZE), key=lambda token: -probs_V[token].item())
    kept = falling[: sampling.top_k]
    mass = sum(probs_V[token].item() for token in kept)
    exact_V = torch.zeros_like(probs_V)
    reached = 0.0
    for token in kept:
        if reached >= sampling.top_p * mass:
            break
        exact_V[token] = probs_V[token]
        reached += probs_V[token].item()
    return exact_V / exact_V.sum()


def test_the_most_likely_token_is_the_models_own_at_every_position(subject: Subject) -> None:
    expected = [argmax_continuation(subject.model, prompt, 24) for prompt in PROMPTS]

    assert greedy_answers(subject) == expected
    assert len(set(expected)) == len(PROMPTS)


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=1),
        SamplingParams(temperature=0.5, top_p=1.0, max_response_tokens=1),
        SamplingParams(temperature=1.5, top_p=0.7, max_response_tokens=1),
        SamplingParams(temperature=1.0, top_p=1.0, top_k=5, max_response_tokens=1),
        SamplingParams(temperature=1.0, top_p=0.6, top_k=8, max_response_tokens=1),
    ],
    ids=["plain", "temperature", "hot nucleus", "top-k", "nucleus of top-k"],
)
def test_samples_are_of_the_exact_distribution(subject: Subject, sampling: SamplingParams) -> None:
    prompt = PROMPTS[0]
    probs_V = exact_probs(subject.model, prompt, sampling)

    (responses,) = subject.engine.generate(
        [RolloutRequest(prompt, tuple(range(NUM_SAMPLES)))], sampling=sampling
    )

    counts = Counter(response.token_ids[0] for response in responses)
    assert all(probs_V[token] > 0 for token in counts)
    # Pearson's statistic; rare tokens are counted as one.
    frequent = [token for token in range(VOCABULARY_SIZE) if NUM_SAMPLES * probs_V[token] >= 5]
    cells = [(counts[token], NUM_SAMPLES * probs_V[token].item()) for token in frequent]
    rest = NUM_SAMPLES * (1 - sum(probs_V[token].item() for token in frequent))
    if rest >= 5:
        cells.append((NUM_SAMPLES - sum(seen for seen, _ in cells), rest))
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in cells)
    # Mean and standard deviation of chi-square with n degrees of freedom are n and √(2n).
    assert len(cells) > 2
    assert statistic < len(cells) + 5 * math.sqrt(2 * len(cells))


def test_a_sample_is_a_function_of_its_seed_and_not_of_its_neighbours(subject: Subject) -> None:
    together = subject.engine.generate(REQUESTS, sampling=PLAIN)
    again = subject.engine.generate(REQUESTS, sampling=PLAIN)
    request = REQUESTS[1]
    ((alone,),) = subject.engine.generate(
        [RolloutRequest(request.prompt_token_ids, request.seeds[2:3])], sampling=PLAIN
    )

    assert again == together
    assert alone == together[1][2]


def test_other_seeds_give_other_samples(subject: Subject) -> None:
    (responses,) = subject.engine.generate(
        [RolloutRequest(PROMPTS[0], tuple(range(32)))], sampling=PLAIN
    )
    assert len({response.token_ids for response in responses}) > 24


def test_responses_end_with_the_first_end_token_or_at_the_limit(subject: Subject) -> None:
    responses = [*all_responses(subject, PLAIN), *_many_of_one_prompt(subject)]

    stopped = [each for each in responses if each.finish_reason is FinishReason.STOP]
    cut = [each for each in responses if each.finish_reason is FinishReason.LENGTH]
    assert stopped
    assert cut
    assert all(each.token_ids.index(EOS) == len(each.token_ids) - 1 for each in stopped)
    assert all(len(each.token_ids) == 24 and EOS not in each.token_ids for each in cut)


def _many_of_one_prompt(subject: Subject):
    (responses,) = subject.engine.generate(
        [RolloutRequest(PROMPTS[2], tuple(range(64)))], sampling=PLAIN
    )
    return responses


def test_an_end_token_at_the_limit_is_an_end(subject: Subject) -> None:
    one_token = SamplingParams(temperature=2.0, top_p=1.0, max_response_tokens=1)
    (responses,) = subject.engine.generate(
        [RolloutRequest(PROMPTS[0], tuple(range(1000)))], sampling=one_token
    )

    assert {len(response.token_ids) for response in responses} == {1}
    ended = [each.finish_reason is FinishReason.STOP for each in responses]
    assert ended == [each.token_ids == (EOS,) for each in responses]
    assert any(ended)


def test_a_sequence_may_fill_every_position(subject: Subject) -> None:
    prompt = tokens(MAX_SEQUENCE_TOKENS - 24, seed=5)
    (responses,) = subject.engine.generate(
        [RolloutRequest(prompt, (1, 2, 3, 4, 5, 6))], sampling=PLAIN
    )
    assert max(len(response.token_ids) for response in responses) == 24


def test_answers_have_the_shape_of_the_requests(subject: Subject) -> None:
    no_samples = RolloutRequest(PROMPTS[0], ())
    answers = subject.engine.generate([no_samples, REQUESTS[0], no_samples], sampling=PLAIN)
    assert [len(responses) for responses in answers] == [0, 4, 0]
    assert subject.engine.generate([], sampling=PLAIN) == []


def test_responses_follow_the_weights(subject: Subject) -> None:
    before = greedy_answers(subject)

    subject.take_weights_of(small_qwen3(2))
    after = greedy_answers(subject)

    assert after == [argmax_continuation(subject.model, prompt, 24) for prompt in PROMPTS]
    assert all(new != old for new, old in zip(after, before, strict=True))


def test_an_engine_that_rested_answers_as_before(subject: Subject) -> None:
    before = subject.engine.generate(REQUESTS, sampling=PLAIN)
    subject.engine.rest()
    subject.engine.rest()
    assert subject.engine.generate(REQUESTS, sampling=PLAIN) == before
