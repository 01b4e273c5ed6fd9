"""What a server is asked once, before a job loads any weights: whether it can be the teacher, shown and not promised."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from service.errors import DriftgateError
from worker.remote_teacher.completions import (
    Prompt,
    choices_of,
    completion_body,
    max_answer_bytes,
    scoring_request,
)
from worker.remote_teacher.exchange import RefusedError, Request, Server, ask
from worker.remote_teacher.failures import invalid, other_vocabulary
from worker.remote_teacher.prompt_log_probs import read_token_scores

MAX_MODELS_NAMED = 10
MAX_LIST_BYTES = 4 * 2**20
MAX_TOKEN_ID = 2**24  # no vocabulary has as many
TOKENS_OF_ANY_MODEL = (0, 1)
NUM_PROBE_TOKENS = 6
NUM_PROBE_GENERATED = 8
PROBE_SEED = 1
# Between the log-probs of tokens when they are generated and when they are read, on average. Half precision and other
# kernels make some hundredths; a log-prob of another position is off by more than this unless the model knows nothing.
MAX_PROBE_GAP_NATS = 0.2


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a job asks of its teacher. longest: tokens of its longest prompt and response together."""

    support_size: int | None
    longest: int
    vocab_size: int


def check_server(server: Server, needs: Needs) -> str:
    """What was found, as a sentence for the job's reader.

    Raises TEACHER_INVALID and VOCABULARY_MISMATCH with the figures of what is missing, TEACHER_UNAVAILABLE and
    StopRequestedError.
    """
    max_model_len = _served_length(server)
    # A completion has one token at least.
    if max_model_len is not None and needs.longest + 1 > max_model_len:
        raise invalid(
            f"it reads at most {max_model_len:,} tokens (max_model_len), and rollout.max_prompt_tokens + "
            f"max_response_tokens + 1 is {needs.longest + 1:,}; lower these, or start it with --max-model-len "
            f"{needs.longest + 1} or more"
        )
    _check_support(server, TOKENS_OF_ANY_MODEL, k=needs.support_size)
    _check_vocab_size(server, needs.vocab_size)
    prompt = _spread_over(needs.vocab_size)
    gap_nats = _check_alignment(server, prompt, k=needs.support_size)
    most_likely = (
        f"the {needs.support_size} most likely tokens" if needs.support_size else "no others"
    )
    length = "an unknown number of" if max_model_len is None else f"{max_model_len:,}"
    return (
        f"{server.url} serves {server.model!r}: {length} tokens at most, log-probs of a prompt's own tokens and of "
        f"{most_likely}, {needs.vocab_size:,} token ids as the student has. Tokens that it generated and then read "
        f"had log-probs that differ by {gap_nats:.1e} nats."
    )


def _served_length(server: Server) -> int | None:
    """max_model_len of the served model; None where the server does not say."""
    request = Request(
        path="/models", body=None, max_answer_bytes=MAX_LIST_BYTES, read=lambda answer: answer
    )
    answer = _asked(server, request, "its list of models")
    models = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(models, list):
        raise invalid(
            "its /v1/models is no list of models; teacher.endpoint is the base URL of a vLLM server, which ends in "
            "/v1"
        )
    by_name = {str(each.get("id")): each for each in models if isinstance(each, dict)}
    if server.model not in by_name:
        names = ", ".join(repr(name[:100]) for name in list(by_name)[:MAX_MODELS_NAMED]) or "none"
        raise invalid(
            f"it serves no model {server.model!r}; it serves {names}. Set teacher.served_model to one of them, or "
            "start it with --served-model-name"
        )
    length = by_name[server.model].get("max_model_len")
    return length if isinstance(length, int) else None


def _spread_over(vocab_size: int) -> list[int]:
    """Different tokens as long as there are enough: a repeated one could stand beside its place unseen."""
    return [index * vocab_size // NUM_PROBE_TOKENS for index in range(NUM_PROBE_TOKENS)]


def _check_support(server: Server, prompt: Prompt, *, k: int | None) -> None:
    """That the server gives the log-probs of K tokens. Raises TEACHER_INVALID with what it does give."""
    try:
        _score(server, prompt, k=k)
    except RefusedError as refusal:
        if k is None or not _gives(server, prompt, k=None):
            raise _refused(refusal, "log-probs of a prompt's tokens (prompt_logprobs)") from None
        most = largest_that_holds(lambda size: _gives(server, prompt, k=size), low=0, high=k)
        raise invalid(
            f"objective.k is {k}, and it gives log-probs of {most} tokens at most ({refusal.reason}); start it "
            f"with --max-logprobs {k} or more, or set objective.k to at most {most}"
        ) from None


def _score(server: Server, prompt: Prompt, *, k: int | None) -> None:
    ask(server, scoring_request([prompt], [[1]], server=server, k=k))


def _gives(server: Server, prompt: Prompt, *, k: int | None) -> bool:
    try:
        _score(server, prompt, k=k)
    except RefusedError:
        return False
    return True


def largest_that_holds(holds: Callable[[int], bool], *, low: int, high: int) -> int:
    """The largest number from `low`, which holds, to below `high`, which does not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _check_alignment(server: Server, prompt: Prompt, *, k: int | None) -> float:
    """The mean gap between log-probs of the same tokens after the same text: generated, and read in a prompt.

    That each entry holds its own token's id says where it stands; this says that its number is of that place. The
    two prompts of the second request differ in length: answers in another order would show.
    """
    generated, log_probs = _generate(server, prompt, k=k)
    longer = [*prompt, *generated]
    wanted = list(range(len(prompt), len(longer)))
    request = scoring_request([longer, prompt], [wanted, [1]], server=server, k=k)
    read = _asked(server, request, "two prompts in one request")[0].log_probs
    gap_nats = sum(abs(a - b) for a, b in zip(log_probs, read, strict=True)) / len(read)
    if gap_nats > MAX_PROBE_GAP_NATS:
        raise invalid(
            f"tokens {generated} had log-probs {_shown(log_probs)} when it generated them, and {_shown(read)} when "
            "it read them after the same text: its prompt_logprobs are of other positions, or not natural "
            "logarithms of its model's probabilities (start it with --logprobs-mode raw_logprobs)"
        )
    return gap_nats


def _generate(server: Server, prompt: Prompt, *, k: int | None) -> tuple[list[int], list[float]]:
    body = completion_body([prompt], server=server, k=k, num_generated=NUM_PROBE_GENERATED)
    request = Request(
        path="/completions",
        # Sampled, by a seed: the likeliest tokens soon repeat themselves, each with a log-prob near 0 everywhere.
        body=body | {"logprobs": 1, "temperature": 1, "seed": PROBE_SEED},
        max_answer_bytes=max_answer_bytes(len(prompt) + NUM_PROBE_GENERATED, k=k),
        read=partial(_read_generated, prompt=prompt, k=k),
    )
    return _asked(server, request, "a completion with log-probs")


def _read_generated(
    answer: object, *, prompt: Prompt, k: int | None
) -> tuple[list[int], list[float]]:
    (choice,) = choices_of(answer, [prompt])
    read_token_scores(choice.get("prompt_logprobs"), prompt, wanted=[1], k=k)
    given = choice.get("logprobs")
    log_probs = _numbers(given.get("token_logprobs") if isinstance(given, Mapping) else None)
    token_ids = [each for each in _numbers(choice.get("token_ids")) if isinstance(each, int)]
    if not token_ids or len(token_ids) != len(log_probs):
        raise invalid(
            "it did not give the ids and log-probs of the tokens that it generated (return_token_ids, logprobs); "
            "vLLM does so from version 0.10.2"
        )
    return token_ids, log_probs


def _numbers(values: object) -> list[int | float]:
    """None of what is no list of numbers."""
    found = values if isinstance(values, list) else []
    return [each for each in found if isinstance(each, int | float)]


def _check_vocab_size(server: Server, vocab_size: int) -> None:
    """That the server takes the student's last token id, and not the one behind it."""
    if not _takes(server, vocab_size - 1):
        largest = largest_that_holds(lambda each: _takes(server, each), low=0, high=vocab_size - 1)
        raise other_vocabulary(_sizes(largest + 1, vocab_size))
    if _takes(server, vocab_size):
        high = 2 * vocab_size
        while _takes(server, high) and high < MAX_TOKEN_ID:
            high *= 2
        largest = largest_that_holds(lambda each: _takes(server, each), low=vocab_size, high=high)
        raise other_vocabulary(_sizes(largest + 1, vocab_size))


def _takes(server: Server, token_id: int) -> bool:
    """Whether the server has such a token; one that does not look first may break over it, and say 500."""
    request = scoring_request([[0, token_id]], [[1]], server=server, k=None)
    body = request.body
    probing = Request(
        path=request.path,
        body=body,
        max_answer_bytes=request.max_answer_bytes,
        read=lambda _answer: True,
        refusals=frozenset({500}),
    )
    try:
        return ask(server, probing)
    except RefusedError:
        return False


def _sizes(num_theirs: int, num_ours: int) -> str:
    return f"it has {num_theirs:,} token ids, and the student has {num_ours:,} (vocab_size)"


def _asked(server: Server, request: Request[Result], what: str) -> Result:
    """As `ask`; a refusal is TEACHER_INVALID."""
    try:
        return ask(server, request)
    except RefusedError as error:
        raise _refused(error, what) from None


def _refused(error: RefusedError, what: str) -> DriftgateError:
    advice = ""
    if error.status in (401, 403):
        advice = "; teacher.api_key names the secret with its key"
    elif error.status == 404:
        advice = "; teacher.endpoint is the base URL of a vLLM server, which ends in /v1"
    return invalid(f"asked for {what} it answered {error.status}: {error.reason}{advice}")


def _shown(log_probs: Sequence[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in log_probs)
