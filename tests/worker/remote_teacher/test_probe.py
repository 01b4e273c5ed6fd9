"""What a server shows before a job begins, and the figures with which one is refused that cannot be the teacher."""

import pytest

from service.errors import DriftgateError, ErrorCode
from tests.worker.byte_model import byte_tokenizer
from tests.worker.remote_teacher.vllm_dialect import BEARER, KEY, RefusalError
from worker.remote_teacher.probe import Needs, check_server
from worker.remote_teacher.vocabulary import check_token_texts

NUM_TOKENS = 257  # the bytes, and an end


def needs(**changes):
    return Needs(**({"support_size": 5, "longest": 100, "vocab_size": NUM_TOKENS} | changes))


def refusal_of(server, **changes):
    with pytest.raises(DriftgateError) as refusal:
        check_server(server, needs(**changes))
    assert refusal.value.message.startswith("The teacher's server ")
    return refusal.value


def decode(token_ids):
    return byte_tokenizer().decode(list(token_ids))


def test_what_a_server_has_shown_is_told(vllm, connect):
    vllm.wanted = BEARER

    told = check_server(connect(api_key=KEY), needs())

    assert told.startswith(f"{vllm.url} serves 'teacher': 512 tokens at most")
    assert "the 5 most likely tokens, 257 token ids as the student has" in told


def test_without_a_support_only_the_own_tokens_log_probs_are_asked(vllm, connect):
    vllm.max_logprobs = 1

    assert "and of no others" in check_server(connect(), needs(support_size=None))


def test_a_server_of_other_models_is_refused_by_their_names(connect):
    refusal = refusal_of(connect(model="qwen"))

    assert refusal.code is ErrorCode.TEACHER_INVALID
    assert "serves no model 'qwen'; it serves 'teacher'" in refusal.message
    assert "teacher.served_model" in refusal.message


@pytest.mark.parametrize(("longest", "fits"), [(511, True), (512, False)])
def test_the_longest_sequence_has_to_fit_with_the_token_that_a_completion_has(
    connect, longest, fits
):
    if fits:
        check_server(connect(), needs(longest=longest))
        return
    message = refusal_of(connect(), longest=longest).message
    assert "at most 512 tokens (max_model_len)" in message
    assert "+ 1 is 513" in message
    assert "--max-model-len 513" in message


def test_more_tokens_than_the_server_gives_log_probs_of_are_refused_with_both_numbers(connect):
    refusal = refusal_of(connect(), support_size=32)

    assert refusal.code is ErrorCode.TEACHER_INVALID
    assert "objective.k is 32, and it gives log-probs of 20 tokens at most" in refusal.message
    assert "greater than max allowed: 20" in refusal.message
    assert "--max-logprobs 32" in refusal.message


def test_as_many_tokens_as_the_server_gives_are_accepted(vllm, connect):
    vllm.max_logprobs = 32

    assert "the 32 most likely tokens" in check_server(connect(), needs(support_size=32))


def test_a_server_without_prompt_log_probs_is_refused(vllm, connect):
    vllm.change = lambda _entries, _prompt: None

    assert "without prompt_logprobs" in refusal_of(connect()).message


def test_a_server_that_does_not_name_the_tokens_it_generates_is_refused(vllm, connect):
    vllm.has_token_ids = False

    assert "return_token_ids" in refusal_of(connect()).message


def numbers_one_place_beside(entries, _prompt):
    """Each entry is about its own token, with the number of the place before it."""
    found = [next(iter(entry.values()))["logprob"] for entry in entries[1:]]
    return [
        None,
        *(
            {key: value | {"logprob": other} for key, value in entry.items()}
            for entry, other in zip(entries[1:], [found[-1], *found], strict=False)
        ),
    ]


def test_log_probs_of_other_places_under_the_right_ids_are_refused(vllm, connect):
    # No id gives them away: what the server generated shows what they should be.
    vllm.change = numbers_one_place_beside

    refusal = refusal_of(connect(), support_size=None)

    assert refusal.code is ErrorCode.TEACHER_INVALID
    assert "when it generated them, and" in refusal.message
    assert "are of other positions" in refusal.message


def test_entries_one_place_beside_their_tokens_are_refused_before_any_training(vllm, connect):
    vllm.change = lambda entries, _prompt: [None, *entries[2:], entries[-1]]

    message = refusal_of(connect()).message

    assert "at position 1 the prompt has token 42, and the log-probs are of token" in message


@pytest.mark.parametrize("vocab_size", [NUM_TOKENS - 7, NUM_TOKENS + 7, 4 * NUM_TOKENS])
def test_another_number_of_token_ids_is_refused_with_both_numbers(connect, vocab_size):
    refusal = refusal_of(connect(), vocab_size=vocab_size)

    assert refusal.code is ErrorCode.VOCABULARY_MISMATCH
    assert f"has 257 token ids, and the student has {vocab_size:,} (vocab_size)" in refusal.message


def test_a_server_that_breaks_over_an_unknown_token_has_refused_it(vllm, connect):
    complete = vllm.complete

    def breaking(body):
        if max(max(prompt) for prompt in body["prompt"]) >= NUM_TOKENS:
            raise RefusalError(500, "index out of range in self")
        return complete(body)

    vllm.complete = breaking

    assert "257 token ids" in check_server(connect(), needs())


@pytest.mark.parametrize("path", ["", "/other"])
def test_an_address_that_is_no_vllm_server_is_refused(vllm, connect, path):
    message = refusal_of(connect(url=f"{vllm.origin}{path}/v1/v1")).message

    assert "404" in message
    assert "which ends in /v1" in message


def test_a_wrong_key_is_refused_with_the_field_that_names_it(vllm, connect):
    vllm.wanted = BEARER

    message = refusal_of(connect(api_key="other")).message

    assert "401" in message
    assert "teacher.api_key" in message


def test_the_texts_of_all_token_ids_are_compared(vllm, connect):
    told = check_token_texts(connect(), num_tokens=NUM_TOKENS, decode=decode, is_required=True)

    assert told == "The texts of all 257 tokens are the student's."
    asked = [
        token for path, body in vllm.bodies if path == "/detokenize" for token in body["tokens"]
    ]
    assert asked == list(range(NUM_TOKENS))


def test_the_first_token_of_another_text_is_named(vllm, connect, monkeypatch):
    monkeypatch.setattr("worker.remote_teacher.vocabulary.TOKENS_PER_REQUEST", 100)
    ours = byte_tokenizer()
    a, b = ours.convert_tokens_to_ids(["a", "b"])

    class Exchanged:
        """Two letters have each other's ids."""

        def decode(self, token_ids):
            names = {a: b, b: a}
            return ours.decode([names.get(each, each) for each in token_ids])

    vllm.tokenizer = Exchanged()

    with pytest.raises(DriftgateError) as refusal:
        check_token_texts(connect(), num_tokens=NUM_TOKENS, decode=decode, is_required=False)

    assert refusal.value.code is ErrorCode.VOCABULARY_MISMATCH
    assert f"token {a} is 'b' there and 'a' in the student's" in refusal.value.message


def test_a_server_that_says_no_texts_passes_only_where_files_were_compared(vllm, connect):
    vllm.has_texts = False
    server = connect()

    told = check_token_texts(server, num_tokens=NUM_TOKENS, decode=decode, is_required=False)
    assert "/detokenize: 404" in told

    with pytest.raises(DriftgateError) as refusal:
        check_token_texts(server, num_tokens=NUM_TOKENS, decode=decode, is_required=True)
    assert refusal.value.code is ErrorCode.TEACHER_INVALID
    assert "teacher.vocabulary 'server'" in refusal.value.message
