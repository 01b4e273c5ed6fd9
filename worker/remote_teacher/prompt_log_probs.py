"""What a vLLM server says of a prompt's tokens, read position by position and held against the prompt.

`prompt_logprobs` is a list with one entry a token. The first is null, for nothing predicts the first token. Each other
is an object from token id to log-prob of the K most likely tokens there and of the prompt's own token, K + 1 where that
is not among them. So an entry that stands one place beside its own would have to hold, at every position, a token that
it is not about: the prompt's own token is looked for everywhere, not only where a score is wanted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.errors import DriftgateError
from worker.remote_teacher.failures import invalid

# Rounding may put a log-prob above 0, and the sum of K probabilities above 1, by as much.
TOLERANCE = 1e-3
# vLLM's stand-in for minus infinity is -9999.
LOWEST_LOG_PROB = -9000.0
MAX_IDS_NAMED = 3


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Log q of wanted tokens of a prompt, nats; with K, the ids of its most likely tokens in order of id, and theirs."""

    log_probs: list[float]
    support: list[list[int]]
    support_log_probs: list[list[float]]


def read_token_scores(
    entries: object, prompt: Sequence[int], *, wanted: Sequence[int], k: int | None
) -> TokenScores:
    """Scores of the tokens at the wanted positions, none of which is 0, of a prompt.

    Every position is checked, the wanted and the others. Raises TEACHER_INVALID, which names the position and both
    tokens.
    """
    if not isinstance(entries, list):
        raise invalid(
            "it answered without prompt_logprobs, the log-probs of the prompt's tokens; name a vLLM server, and "
            "its /v1/completions"
        )
    if len(entries) != len(prompt):
        raise invalid(
            f"it gave log-probs of {len(entries):,} positions for a prompt of {len(prompt):,} tokens"
        )
    if entries[0] is not None:
        raise _misplaced(
            "position 0 has log-probs, though nothing stands before it that could predict it"
        )
    is_wanted = set(wanted)
    scores = TokenScores([], [], [])
    for position in range(1, len(prompt)):
        token = prompt[position]
        found = _read_entry(entries[position], token, position=position)
        chosen = None if k is None else _most_likely(found, token, k=k, position=position)
        if position not in is_wanted:
            continue
        scores.log_probs.append(found[token])
        if chosen is not None:
            scores.support.append(chosen)
            scores.support_log_probs.append([found[each] for each in chosen])
    return scores


def _read_entry(entry: object, token: int, *, position: int) -> dict[int, float]:
    """Log-probs by token id. Raises TEACHER_INVALID where the prompt's own token is not there."""
    if not isinstance(entry, dict) or not entry:
        raise _misplaced(f"position {position} has no log-probs, and token {token} stands there")
    found = {}
    for key, value in entry.items():
        log_prob = value.get("logprob") if isinstance(value, Mapping) else None
        if not isinstance(log_prob, int | float) or isinstance(log_prob, bool) or not key.isdigit():
            raise invalid(
                f"its log-probs of position {position} cannot be read: {str(value)[:80]!r}"
            )
        if not LOWEST_LOG_PROB < log_prob <= TOLERANCE:
            raise invalid(
                f"its log-prob of token {key} at position {position} is {log_prob:g}, which is no natural "
                "logarithm of a probability above 0; start it with --logprobs-mode raw_logprobs, and look whether "
                "its model gives finite numbers"
            )
        found[int(key)] = float(log_prob)
    if token not in found:
        named = ", ".join(str(each) for each in list(found)[:MAX_IDS_NAMED])
        raise _misplaced(
            f"at position {position} the prompt has token {token}, and the log-probs are of token {named}"
        )
    return found


def _most_likely(found: Mapping[int, float], token: int, *, k: int, position: int) -> list[int]:
    """The K most likely, a tie going to the lowest of the ids that the server gave; in order of id."""
    if len(found) < k:
        raise invalid(
            f"it gave log-probs of {len(found)} tokens at position {position}, and objective.k is {k}"
        )
    by_rank = sorted(found, key=lambda each: (-found[each], each))
    chosen, others = by_rank[:k], by_rank[k:]
    # Besides the K most likely there is only the prompt's own token, which none of them is less likely than.
    if len(others) > 1 or (others and found[token] > found[others[0]]):
        raise _misplaced(
            f"at position {position} the prompt has token {token}, and the log-probs are of the {k} most likely "
            f"tokens and of token {others[-1]}"
        )
    if sum(math.exp(found[each]) for each in chosen) > 1 + TOLERANCE:
        raise invalid(
            f"the {k} most likely tokens at position {position} have more than the whole probability; start it "
            "with --logprobs-mode raw_logprobs"
        )
    return sorted(chosen)


def _misplaced(reason: str) -> DriftgateError:
    return invalid(
        f"{reason}: its log-probs do not stand where their tokens do, and training on them would teach another text"
    )
