"""Whether a response ran into its limit while repeating itself."""

from collections.abc import Sequence

TAIL_TOKENS = 1024
MIN_REPEATED_TOKENS = 64
MIN_REPEATS = 4


def is_loop(token_ids: Sequence[int]) -> bool:
    """Whether the response ends in at least four turns, and 64 tokens, of one sequence.

    Looks at the last 1,024 tokens, in linear time: the prefix function of the reversed tail gives the
    shortest period of every ending at once.
    """
    tail = token_ids[: -TAIL_TOKENS - 1 : -1]
    borders = [0] * len(tail)
    border = 0
    for index in range(1, len(tail)):
        while border and tail[index] != tail[border]:
            border = borders[border - 1]
        border += tail[index] == tail[border]
        borders[index] = border
        length, period = index + 1, index + 1 - border
        if length >= max(MIN_REPEATED_TOKENS, MIN_REPEATS * period):
            return True
    return False
