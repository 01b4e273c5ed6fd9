"""Whether a server's token ids mean what the student's do: it says their texts, and the student's tokenizer does."""

from collections.abc import Callable, Sequence

from worker.remote_teacher.exchange import RefusedError, Request, Server, ask, ask_all
from worker.remote_teacher.failures import invalid, other_vocabulary

TOKENS_PER_REQUEST = 1024
# The text of a token is short; a special one may have some dozens of bytes, each escaped in JSON.
BYTES_OF_TEXT = 1024
MAX_SHOWN_CHARACTERS = 60

# From token ids to the text that they spell together, special tokens included.
Decode = Callable[[Sequence[int]], str]


def check_token_texts(server: Server, *, num_tokens: int, decode: Decode, is_required: bool) -> str:
    """Compares the text of every token id below `num_tokens`; what was found, as a sentence.

    A server that says no texts passes unless `is_required`. Tokens that are parts of a character show as such and
    not which part. Raises VOCABULARY_MISMATCH, which names the first token that differs, and TEACHER_INVALID.
    """
    chunks = [
        range(first, min(first + TOKENS_PER_REQUEST, num_tokens))
        for first in range(0, num_tokens, TOKENS_PER_REQUEST)
    ]
    try:
        texts = ask_all(server, [_text_request(server, chunk) for chunk in chunks])
    except RefusedError as error:
        if is_required:
            raise invalid(
                f"asked for the text of token ids (/detokenize) it answered {error.status}: {error.reason}. With "
                "teacher.vocabulary 'server' that is all that proves its vocabulary; name a folder or a hub model "
                "with the teacher's tokenizer and set it to 'files', or let the server answer"
            ) from None
        return f"It says no token's text (/detokenize: {error.status}), so its tokenizer is the files' word alone."
    for chunk, text in zip(chunks, texts, strict=True):
        if text != decode(chunk):
            raise _first_that_differs(server, chunk, decode)
    return f"The texts of all {num_tokens:,} tokens are the student's."


def _text_request(server: Server, token_ids: Sequence[int]) -> Request[str]:
    return Request(
        path="//detokenize",
        body={"model": server.model, "tokens": list(token_ids)},
        max_answer_bytes=len(token_ids) * BYTES_OF_TEXT + BYTES_OF_TEXT,
        read=_read_text,
    )


def _read_text(answer: object) -> str:
    text = answer.get("prompt") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise invalid("its /detokenize answers without a text")
    return text


def _first_that_differs(server: Server, chunk: Sequence[int], decode: Decode) -> Exception:
    """VOCABULARY_MISMATCH; halves that differ are halved again."""
    while len(chunk) > 1:
        half = chunk[: len(chunk) // 2]
        theirs = ask(server, _text_request(server, half))
        chunk = half if theirs != decode(half) else chunk[len(half) :]
    theirs, ours = ask(server, _text_request(server, chunk)), decode(chunk)
    return other_vocabulary(
        f"token {chunk[0]} is {theirs[:MAX_SHOWN_CHARACTERS]!r} there and {ours[:MAX_SHOWN_CHARACTERS]!r} in the "
        "student's tokenizer"
    )
