"""A chunk's logits: one buffer for all chunks, spent in place, looked at while they are in a cache.

Legend: C tokens of a chunk; R rows at a time; H hidden; V vocabulary.
"""

import torch
from torch import Tensor

from worker.training.products import HALVES, product_in_float32

# Rows of logits that stay in a CPU core's cache from the first look at them to the last.
MAX_CACHED_ELEMENTS = 2**18


class LogitsOfChunks:
    """Logits of one chunk after another, in the same memory where they are not widened.

    Fresh memory of this size is handed out page by page, which costs a third of the product itself.
    What `of` returned is overwritten by its next call.
    """

    def __init__(self, head_VH: Tensor) -> None:
        self._head_VH = head_VH
        self._buffer_CV = head_VH.new_empty(0, len(head_VH))

    def of(self, hidden_CH: Tensor) -> Tensor:
        """Logits [C, V] in float32 or wider."""
        if hidden_CH.dtype in HALVES:
            return product_in_float32(hidden_CH, self._head_VH.T)
        num_tokens = len(hidden_CH)
        if len(self._buffer_CV) < num_tokens:
            self._buffer_CV = self._head_VH.new_empty(num_tokens, len(self._head_VH))
        logits_CV = self._buffer_CV[:num_tokens]
        return torch.mm(hidden_CH, self._head_VH.T, out=logits_CV)


def log_sum_exp_spending(logits_CV: Tensor) -> Tensor:
    """Log-sum-exp [C, 1]; the logits are lost."""
    largest_C1, sum_C1 = exponentiate(logits_CV)
    return largest_C1 + sum_C1.log()


def exponentiate(logits_CV: Tensor) -> tuple[Tensor, Tensor]:
    """Turns logits into e^(logit − largest) in place; returns the largest and the sum of each row [C, 1]."""
    largest, sums = [], []
    for rows_RV in logits_CV.split(_num_cached_rows(logits_CV)):
        largest.append(rows_RV.amax(dim=-1, keepdim=True))
        sums.append(rows_RV.sub_(largest[-1]).exp_().sum(dim=-1, keepdim=True))
    return torch.cat(largest), torch.cat(sums)


def _num_cached_rows(logits_CV: Tensor) -> int:
    """On a CPU as many rows as a core's cache holds; elsewhere all at once."""
    num_rows, vocabulary_size = logits_CV.shape
    if logits_CV.device.type != "cpu":
        return max(1, num_rows)
    return max(1, MAX_CACHED_ELEMENTS // vocabulary_size)


def move_to_front(values_CV: Tensor, is_wanted_C: Tensor) -> Tensor:
    """Moves the wanted rows to the front, in place; returns which row stands where.

    Rows from the end fill the gaps: a copy of the few that move, not of all that stay.
    """
    num_wanted = int(is_wanted_C.sum())
    rows_C = torch.arange(num_wanted, device=values_CV.device)
    gaps = (~is_wanted_C[:num_wanted]).nonzero()[:, 0]
    rows_C[gaps] = num_wanted + is_wanted_C[num_wanted:].nonzero()[:, 0]
    values_CV[gaps] = values_CV[rows_C[gaps]]
    return rows_C


def at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in HALVES else values
