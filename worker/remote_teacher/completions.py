"""The one request that scores tokens: /v1/completions on token ids, with log-probs of the prompt."""

from collections.abc import Mapping, Sequence
from functools import partial

from worker.remote_teacher.exchange import Request, Server
from worker.remote_teacher.failures import invalid
from worker.remote_teacher.prompt_log_probs import TokenScores, read_token_scores

# A completion begins with one token at least; nobody looks at it.
NUM_GENERATED = 1
# A log-prob is an object of about 80 bytes, and a token's text may be long.
BYTES_OF_LOG_PROB = 512
BYTES_BESIDES = 2**20

Prompt = Sequence[int]


def scoring_request(
    prompts: Sequence[Prompt],
    wanted: Sequence[Sequence[int]],
    *,
    server: Server,
    k: int | None,
) -> Request[list[TokenScores]]:
    """Scores of the wanted positions of each prompt, none of which is 0."""
    return Request(
        path="/completions",
        body=completion_body(prompts, server=server, k=k, num_generated=NUM_GENERATED),
        max_answer_bytes=max_answer_bytes(sum(map(len, prompts)), k=k),
        read=partial(_read_scores, prompts=prompts, wanted=wanted, k=k),
    )


def completion_body(
    prompts: Sequence[Prompt], *, server: Server, k: int | None, num_generated: int
) -> dict[str, object]:
    """Prompts go as token ids: no tokenizer and no chat template of the server comes in between."""
    return {
        "model": server.model,
        "prompt": [list(prompt) for prompt in prompts],
        "max_tokens": num_generated,
        "prompt_logprobs": k or 0,  # 0: of the prompt's own token alone
        "return_token_ids": True,
        "temperature": 0,
        # Where the server's defaults, from its model's generation config, would have it otherwise.
        "top_p": 1,
        "top_k": 0,
        "min_p": 0,
        "repetition_penalty": 1,
        "ignore_eos": True,
    }


def max_answer_bytes(num_tokens: int, *, k: int | None) -> int:
    return BYTES_BESIDES + num_tokens * (2 + (k or 0)) * BYTES_OF_LOG_PROB


def choices_of(answer: object, prompts: Sequence[Prompt]) -> list[Mapping[str, object]]:
    """The answer's choices in the order of the prompts; where it repeats a prompt, that is the prompt.

    Raises TEACHER_INVALID.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or len(choices) != len(prompts):
        given = len(choices) if isinstance(choices, list) else "no"
        raise invalid(f"it gave {given} choices for {len(prompts)} prompts")
    by_index = {each.get("index"): each for each in choices if isinstance(each, dict)}
    if sorted(by_index, key=str) != sorted(range(len(prompts)), key=str):
        raise invalid(f"the choices of its answer are not numbered from 0 to {len(prompts) - 1}")
    for index, prompt in enumerate(prompts):
        repeated = by_index[index].get("prompt_token_ids")
        if repeated is not None and repeated != list(prompt):
            raise invalid(
                f"it answered prompt {index} with the scores of another: it says that it read "
                f"{_first_difference(prompt, repeated)}"
            )
    return [by_index[index] for index in range(len(prompts))]


def _read_scores(
    answer: object,
    *,
    prompts: Sequence[Prompt],
    wanted: Sequence[Sequence[int]],
    k: int | None,
) -> list[TokenScores]:
    return [
        read_token_scores(choice.get("prompt_logprobs"), prompt, wanted=positions, k=k)
        for choice, prompt, positions in zip(
            choices_of(answer, prompts), prompts, wanted, strict=True
        )
    ]


def _first_difference(prompt: Prompt, repeated: object) -> str:
    if not isinstance(repeated, list):
        return f"{str(repeated)[:80]!r}"
    for position, (sent, read) in enumerate(zip(prompt, repeated, strict=False)):
        if sent != read:
            return f"token {str(read)[:20]} at position {position}, and token {sent} was sent"
    return f"{len(repeated):,} tokens, and {len(prompt):,} were sent"
