"""Scores of a server against those of the same model in this process, and answers that are about other tokens."""

import pytest
import torch

from service.errors import DriftgateError, ErrorCode
from service.jobs.loss_spec import GateSpec, SampledTokenObjective, TeacherTopKObjective
from tests.worker.training.tiny_models import CPU, RULES, random_rollouts
from worker.remote_teacher import teacher as remote
from worker.remote_teacher.teacher import RemoteTeacher
from worker.training.batching import TokenRules, cut_into_micro_batches
from worker.training.teacher import LocalTeacher

TOP_5 = TeacherTopKObjective(type="teacher_topk", k=5)


def batches_of(*, seed=3, max_tokens=60, masked=(), is_packed=False):
    rules = TokenRules(RULES.pad_token_id, frozenset(masked), RULES.newline_token_ids)
    return cut_into_micro_batches(
        random_rollouts(seed),
        gate=GateSpec(block_size=4),
        rules=rules,
        drift_map_block_size=4,
        max_tokens=max_tokens,
        device=CPU,
        is_packed=is_packed,
    )


def refusal_of(server, *, k=5):
    with pytest.raises(DriftgateError) as refusal:
        RemoteTeacher(server, support_size=k).score(batches_of())
    return refusal.value


@pytest.mark.parametrize("masked", [(), tuple(range(2, 9))], ids=["all tokens", "some masked"])
def test_the_server_says_what_the_same_model_here_says(vllm, connect, masked):
    batches = batches_of(masked=masked)
    expected = LocalTeacher(vllm.model, objective=TOP_5).score(batches)

    scores = RemoteTeacher(connect(), support_size=5).score(batches)

    for theirs, ours in zip(scores, expected, strict=True):
        torch.testing.assert_close(theirs.log_probs_N, ours.log_probs_N, atol=1e-4, rtol=0)
        assert torch.equal(theirs.support_NK, ours.support_NK)
        torch.testing.assert_close(
            theirs.support_log_probs_NK, ours.support_log_probs_NK, atol=1e-4, rtol=0
        )


def test_of_sampled_tokens_alone_no_others_are_asked(vllm, connect):
    batches = batches_of()
    expected = LocalTeacher(vllm.model, objective=SampledTokenObjective()).score(batches)

    scores = RemoteTeacher(connect(), support_size=None).score(batches)

    for theirs, ours in zip(scores, expected, strict=True):
        torch.testing.assert_close(theirs.log_probs_N, ours.log_probs_N, atol=1e-4, rtol=0)
        assert theirs.support_NK is theirs.support_log_probs_NK is None
    assert {body["prompt_logprobs"] for _, body in vllm.bodies} == {0}


def test_sequences_packed_in_a_row_are_scored_as_those_of_their_own_rows(connect):
    teacher = RemoteTeacher(connect(), support_size=5)

    (packed,) = teacher.score(batches_of(max_tokens=10_000, is_packed=True))
    (padded,) = teacher.score(batches_of(max_tokens=10_000))

    assert torch.equal(packed.log_probs_N, padded.log_probs_N)
    assert torch.equal(packed.support_NK, padded.support_NK)


def test_a_batch_without_a_token_to_score_is_not_sent(vllm, connect):
    (batch,) = batches_of(max_tokens=10_000, masked=range(29))

    (scores,) = RemoteTeacher(connect(), support_size=5).score([batch])

    assert scores.log_probs_N.shape == (0,)
    assert scores.support_NK.shape == scores.support_log_probs_NK.shape == (0, 5)
    assert vllm.bodies == []


def test_prompts_go_together_as_far_as_a_request_is_long_and_no_more_at_once_than_allowed(
    vllm, connect, monkeypatch
):
    whole = RemoteTeacher(connect(), support_size=5).score(batches_of())
    assert [len(body["prompt"]) for _, body in vllm.bodies] == [6]
    vllm.bodies.clear()
    monkeypatch.setattr(remote, "MAX_TOKENS_PER_REQUEST", 40)
    vllm.delay_s = 0.1

    cut = RemoteTeacher(connect(max_concurrent_requests=2), support_size=5).score(batches_of())

    sizes = [sum(map(len, body["prompt"])) for _, body in vllm.bodies]
    assert len(sizes) > 2
    assert max(sizes) <= 40
    assert vllm.most_under_way == 2
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one.log_probs_N, other.log_probs_N)


def test_nothing_is_sent_behind_the_last_token_that_is_scored(vllm, connect):
    # Token 9 is masked where it ends a response as anywhere else, and padding is never sent.
    RemoteTeacher(connect(), support_size=None).score(batches_of(masked=(9,)))

    longest = {len(prompt) for _, body in vllm.bodies for prompt in body["prompt"]}
    assert max(longest) <= max(rollout.num_tokens for rollout in random_rollouts(3))
    assert all(prompt[-1] != 9 for _, body in vllm.bodies for prompt in body["prompt"])


def shifted_to_the_left(entries, _prompt):
    return [None, *entries[2:], entries[-1]]


def shifted_to_the_right(entries, _prompt):
    return [None, entries[1], *entries[1:-1]]


@pytest.mark.parametrize("k", [5, None])
@pytest.mark.parametrize("shift", [shifted_to_the_left, shifted_to_the_right])
def test_log_probs_one_place_beside_their_tokens_are_refused_with_the_place_and_both_tokens(
    vllm, connect, shift, k
):
    vllm.change = shift

    refusal = refusal_of(connect(), k=k)

    assert refusal.code is ErrorCode.TEACHER_INVALID
    assert "the prompt has token" in refusal.message
    assert "and the log-probs are of" in refusal.message
    assert "do not stand where their tokens do" in refusal.message


def without_first(entries, _prompt):
    return entries[1:]


def with_a_first(entries, _prompt):
    return [entries[1], *entries[1:]]


def with_a_hole(entries, _prompt):
    return [*entries[:2], None, *entries[3:]]


def of_the_likeliest_alone(entries, _prompt):
    return [
        entry and dict(sorted(entry.items(), key=lambda item: -item[1]["logprob"])[:5])
        for entry in entries
    ]


def of_four(entries, prompt):
    return [
        entry and {key: entry[key] for key in [*list(entry)[:3], str(token)]}
        for entry, token in zip(entries, prompt, strict=True)
    ]


def with_values(change):
    def changed(entries, _prompt):
        return [
            entry
            and {key: value | {"logprob": change(value["logprob"])} for key, value in entry.items()}
            for entry in entries
        ]

    return changed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _entries, _prompt: None, "without prompt_logprobs"),
        (without_first, "positions for a prompt of"),
        (with_a_first, "position 0 has log-probs"),
        (with_a_hole, "position 2 has no log-probs, and token"),
        (of_the_likeliest_alone, "and the log-probs are of token"),
        (of_four, "and objective.k is 5"),
        (with_values(lambda value: value + 30), "no natural logarithm"),
        (with_values(lambda _value: -9999.0), "is -9999, which is no natural logarithm"),
        (with_values(lambda _value: float("nan")), "no natural logarithm"),
        (with_values(lambda value: value / 10), "more than the whole probability"),
        (with_values(str), "cannot be read"),
    ],
)
def test_what_cannot_be_log_probs_of_the_prompt_is_refused(vllm, connect, change, reason):
    vllm.change = change

    refusal = refusal_of(connect())

    assert refusal.code is ErrorCode.TEACHER_INVALID
    assert reason in refusal.message


def test_the_scores_of_another_prompt_of_the_request_are_refused(vllm, connect):
    def exchanged(choices):
        numbers = [choice["index"] for choice in choices]
        moved = zip(choices, [*numbers[1:], 0], strict=True)
        return [choice | {"index": number} for choice, number in moved]

    vllm.reorder = exchanged

    assert "with the scores of another" in refusal_of(connect()).message
    # Also where the server does not repeat what it read.
    vllm.has_token_ids = False
    assert refusal_of(connect()).code is ErrorCode.TEACHER_INVALID


def test_choices_in_another_order_go_to_their_own_prompts(vllm, connect):
    expected = RemoteTeacher(connect(), support_size=5).score(batches_of())
    vllm.reorder = lambda choices: choices[::-1]

    scores = RemoteTeacher(connect(), support_size=5).score(batches_of())

    for one, other in zip(scores, expected, strict=True):
        assert torch.equal(one.log_probs_N, other.log_probs_N)


def test_an_answer_with_too_few_or_doubled_choices_is_refused(vllm, connect):
    vllm.reorder = lambda choices: choices[:-1]
    assert "it gave 5 choices for 6 prompts" in refusal_of(connect()).message
    vllm.reorder = lambda choices: [choices[0], *choices[:-1]]
    assert "not numbered from 0 to 5" in refusal_of(connect()).message


def test_of_equally_likely_tokens_the_lowest_ids_are_the_support(vllm, connect):
    def all_alike(entries, prompt):
        rows = zip(entries, prompt, strict=True)
        ids = [str(each) for each in (40, 41, 42, 43, 44)]
        return [
            entry and {key: {"logprob": -3.0} for key in [*ids, str(token)]}
            for entry, token in rows
        ]

    vllm.change = all_alike

    scores = RemoteTeacher(connect(), support_size=5).score(batches_of())

    for batch, score in zip(batches_of(), scores, strict=True):
        assert score.support_NK.tolist() == [[token, 40, 41, 42, 43] for token in batch.tokens_N]
