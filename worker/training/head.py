"""The loss head in chunks, forward and backward in one go: no [tokens, vocabulary] tensor is ever whole.

A chunk's logits live just long enough for its log-sum-exp, its loss and its gradients, so the sampled-token
objective costs three head products, not four (nothing is recomputed). What the loss is, the caller says,
as a function of a chunk's log-probs or support logits; its derivative there is all that is needed.

Legend: N tokens; C tokens of a chunk; H hidden; V vocabulary; K teacher support. Log-probs are in nats;
log-sum-exp and gradients are accumulated in float32 or wider.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode
from worker.training.logits import (
    LogitsOfChunks,
    at_least_float32,
    exponentiate,
    log_sum_exp_spending,
    move_to_front,
)
from worker.training.packing import packed_arguments
from worker.training.products import add_product_in_float32

# Logits of a chunk: large enough to keep a matrix product busy, small enough to stay a few dozen MB. A GPU wants
# more at once: a product has to outweigh the passes over the head's gradient that each chunk costs.
MAX_CHUNK_ELEMENTS, MAX_CHUNK_ELEMENTS_ON_GPU = 2**24, 2**28
MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS = 128, 4096

# Of a model whose weights are sharded: its decoder, called in a way that puts them together first.
SHARDED_DECODER = "sharded_decoder"

# From a chunk's log-probs [C] or support logits [C, K], which carry a gradient, to its summed loss.
ChunkLoss = Callable[[slice, Tensor], Tensor]


def hidden_states(
    model: PreTrainedModel,
    input_ids_BS: Tensor,
    positions_N: Tensor,
    *,
    packed_lengths: Sequence[int] | None = None,
) -> Tensor:
    """Final hidden states [N, H] at flat positions of right-padded sequences, or of one row of packed ones."""
    decoder = getattr(model, SHARDED_DECODER, None) or model.get_decoder()
    packed = packed_arguments(packed_lengths, input_ids_BS.device) if packed_lengths else {}
    hidden_BSH = decoder(input_ids=input_ids_BS, use_cache=False, **packed).last_hidden_state
    return hidden_BSH.flatten(0, 1)[positions_N]


def head_weight(model: PreTrainedModel) -> Tensor:
    """The output embedding [V, H], tied or not."""
    return model.get_output_embeddings().weight


def max_chunk_elements(device: torch.device) -> int:
    """Of logits, or of gathered head rows."""
    return MAX_CHUNK_ELEMENTS_ON_GPU if device.type == "cuda" else MAX_CHUNK_ELEMENTS


def chunk_tokens(head_VH: Tensor) -> int:
    """Tokens of a chunk, at most."""
    wanted = max_chunk_elements(head_VH.device) // len(head_VH)
    return min(max(wanted, MIN_CHUNK_TOKENS), MAX_CHUNK_TOKENS)


def even_chunks(num_tokens: int, head_VH: Tensor) -> list[slice]:
    """Chunks that heed no boundary."""
    size = chunk_tokens(head_VH)
    return [slice(start, min(start + size, num_tokens)) for start in range(0, num_tokens, size)]


def whole_group_chunks(group_sizes: Sequence[int], *, max_tokens: int) -> list[slice] | None:
    """Chunks that cut no group of tokens; None where a group is longer than a chunk."""
    if max(group_sizes, default=0) > max_tokens:
        return None
    chunks: list[slice] = []
    start = end = 0
    for size in group_sizes:
        if end + size - start > max_tokens:
            chunks.append(slice(start, end))
            start = end
        end += size
    return [*chunks, slice(start, end)] if end > start else chunks


class HeadGradient:
    """Accumulates ∂L/∂head [V, H] where the parameter's own gradient is, in float32 or wider.

    Where that gradient is in half precision a float32 buffer stands in until `fold`; a frozen head has none.
    """

    def __init__(self, parameter: Tensor) -> None:
        self.weight = parameter.detach()
        self._parameter = parameter
        self._sum_VH: Tensor | None = None
        if not parameter.requires_grad:
            return
        gradient_dtype = parameter.grad_dtype or parameter.dtype
        if gradient_dtype in (torch.float32, torch.float64):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter, dtype=gradient_dtype)
            self._sum_VH = parameter.grad
        else:
            self._sum_VH = torch.zeros_like(parameter, dtype=torch.float32)

    def add_product(self, grad_CV: Tensor, hidden_CH: Tensor) -> None:
        """Adds grad^T hidden."""
        if self._sum_VH is None:
            return
        if grad_CV.dtype == self._sum_VH.dtype:
            self._sum_VH.addmm_(grad_CV.T, hidden_CH)
        else:
            add_product_in_float32(self._sum_VH, grad_CV.T, hidden_CH)

    def add_rows(self, rows_C: Tensor, grads_CH: Tensor) -> None:
        """Adds a gradient to each named row of the head; rows may repeat."""
        if self._sum_VH is not None:
            self._sum_VH.index_add_(0, rows_C, grads_CH.to(self._sum_VH.dtype))

    def fold(self) -> None:
        """Moves a stand-in buffer into the parameter's gradient."""
        if self._sum_VH is None or self._sum_VH is self._parameter.grad:
            return
        folded = self._sum_VH.to(self._parameter.dtype)
        if self._parameter.grad is None:
            self._parameter.grad = folded
        else:
            self._parameter.grad += folded


@torch.no_grad()
def sampled_log_probs(hidden_NH: Tensor, head_VH: Tensor, tokens_N: Tensor) -> Tensor:
    """Log p(token) [N]; forward only."""
    log_probs = []
    logits = LogitsOfChunks(head_VH)
    for chunk in even_chunks(len(tokens_N), head_VH):
        logits_CV = logits.of(hidden_NH[chunk])
        chosen_C1 = logits_CV.gather(1, tokens_N[chunk, None])
        log_probs.append((chosen_C1 - log_sum_exp_spending(logits_CV))[:, 0])
    return torch.cat(log_probs) if log_probs else hidden_NH.new_empty(0)


@torch.no_grad()
def sampled_gradient(
    hidden_NH: Tensor,
    head: HeadGradient,
    tokens_N: Tensor,
    *,
    chunks: Sequence[slice],
    loss_of: ChunkLoss,
) -> Tensor:
    """∂L/∂hidden [N, H] for a loss of the sampled tokens' log-probs; the head's goes to `head`.

    ∂ log p(y) / ∂ logits = onehot(y) − softmax. Rows without a gradient (clipped, or gated to zero) are
    left out of both backward products.
    """
    grad_hidden_NH = torch.zeros_like(hidden_NH)
    logits = LogitsOfChunks(head.weight)
    for chunk in chunks:
        hidden_CH, tokens_C1 = hidden_NH[chunk], tokens_N[chunk, None]
        logits_CV = logits.of(hidden_CH)
        chosen_C1 = logits_CV.gather(1, tokens_C1)
        # One exponential serves the log-sum-exp and the softmax.
        largest_C1, sum_C1 = exponentiate(logits_CV)
        exp_CV = logits_CV
        log_probs_C = (chosen_C1 - largest_C1 - sum_C1.log())[:, 0]
        slope_C1 = _slope(loss_of, chunk, log_probs_C)[:, None]
        rows_C = move_to_front(exp_CV, slope_C1[:, 0] != 0)
        exp_CV, hidden_CH, tokens_C1 = exp_CV[: len(rows_C)], hidden_CH[rows_C], tokens_C1[rows_C]
        slope_C1, sum_C1 = slope_C1[rows_C], sum_C1[rows_C]
        # The factor −slope / sum goes to the narrow side of both products: one pass over [C, V] less.
        factor_C1 = (-slope_C1 / sum_C1).to(hidden_CH.dtype)
        grad_CV = exp_CV.scatter_add_(1, tokens_C1, -sum_C1).to(hidden_CH.dtype)
        grad_hidden_NH[chunk.start + rows_C] = (grad_CV @ head.weight).mul_(factor_C1)
        head.add_product(grad_CV, hidden_CH * factor_C1)
    return grad_hidden_NH


@torch.no_grad()
def support_gradient(
    hidden_NH: Tensor, head: HeadGradient, support_NK: Tensor, *, loss_of: ChunkLoss
) -> Tensor:
    """∂L/∂hidden [N, H] for a loss of the support tokens' logits; only their K head rows are used.

    The softmax over the vocabulary cancels where a policy is renormalised on its support.
    """
    grad_hidden_NH = torch.empty_like(hidden_NH)
    for chunk in _support_chunks(support_NK, hidden_NH):
        hidden_CH, support_CK = hidden_NH[chunk], support_NK[chunk]
        rows_CKH = embedding(support_CK, head.weight)
        logits_CK = at_least_float32(torch.bmm(rows_CKH, hidden_CH[:, :, None])[:, :, 0])
        slope_CK = _slope(loss_of, chunk, logits_CK).to(hidden_CH.dtype)
        grad_hidden_NH[chunk] = torch.bmm(slope_CK[:, None, :], rows_CKH)[:, 0]
        grads_CKH = torch.mul(slope_CK[:, :, None], hidden_CH[:, None, :], out=rows_CKH)
        head.add_rows(support_CK.flatten(), grads_CKH.flatten(0, 1))
    return grad_hidden_NH


def _slope(loss_of: ChunkLoss, chunk: slice, inputs: Tensor) -> Tensor:
    """Derivative of the chunk's loss by its inputs."""
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss_of(chunk, inputs), inputs)
    return slope


def _support_chunks(support_NK: Tensor, hidden_NH: Tensor) -> Iterator[slice]:
    """The gathered rows are K·H numbers a token, and are kept as small as a chunk of logits."""
    max_elements = max_chunk_elements(hidden_NH.device)
    size = max(1, max_elements // (support_NK.shape[1] * hidden_NH.shape[1]))
    for start in range(0, len(support_NK), size):
        yield slice(start, min(start + size, len(support_NK)))


@dataclass(frozen=True, slots=True)
class TeacherScores:
    """What the teacher says of N tokens.

    log_probs_N: log q of the sampled token.
    support_NK, support_log_probs_NK: its K most likely tokens, a tie going to the lowest ids; None for
    the sampled-token objective.
    """

    log_probs_N: Tensor
    support_NK: Tensor | None
    support_log_probs_NK: Tensor | None


@torch.no_grad()
def teacher_scores(
    hidden_NH: Tensor, head_VH: Tensor, tokens_N: Tensor, *, k: int | None
) -> TeacherScores:
    """Scores from a teacher's own hidden states; one pass over the chunks of its head."""
    log_probs, support, support_log_probs = [], [], []
    logits = LogitsOfChunks(head_VH)
    for chunk in even_chunks(len(tokens_N), head_VH) or [slice(0, 0)]:
        logits_CV = logits.of(hidden_NH[chunk])
        wanted_CK = tokens_N[chunk, None]
        if k is not None:
            support.append(top_k_lowest_ids(logits_CV, k=k))
            wanted_CK = torch.cat([wanted_CK, support[-1]], dim=1)
        chosen_CK = logits_CV.gather(1, wanted_CK)
        lse_C1 = log_sum_exp_spending(logits_CV)
        if not torch.isfinite(lse_C1).all():
            raise DriftgateError(
                ErrorCode.NON_FINITE_LOSS,
                "The teacher's logits are not finite, so there is nothing to distil. "
                "Check its weights, or set compute.dtype to float32.",
            )
        chosen_CK -= lse_C1
        log_probs.append(chosen_CK[:, 0])
        support_log_probs.append(chosen_CK[:, 1:])
    return TeacherScores(
        log_probs_N=torch.cat(log_probs),
        support_NK=torch.cat(support) if support else None,
        support_log_probs_NK=torch.cat(support_log_probs) if support else None,
    )


def top_k_lowest_ids(logits_CV: Tensor, *, k: int) -> Tensor:
    """Ids [C, K] of the K largest logits, in order of id; `topk` leaves open which tied ids it takes.

    Only a row whose K-th value stands again beyond its K largest is looked at twice: there everything above
    that value is in, and of the tokens at it the lowest ids fill the rest.
    """
    values_CK, ids_CK = logits_CV.topk(min(k + 1, logits_CV.shape[1]), dim=-1)
    if ids_CK.shape[1] == k:
        return ids_CK.sort(dim=-1).values
    ids_CK, is_tied_C = ids_CK[:, :k], values_CK[:, k - 1] == values_CK[:, k]
    if is_tied_C.any():
        tied_DV = logits_CV[is_tied_C]
        kth_D1 = values_CK[is_tied_C, k - 1, None]
        is_above_DV = tied_DV > kth_D1
        is_at_DV = tied_DV == kth_D1
        room_D1 = k - is_above_DV.sum(dim=-1, keepdim=True)
        is_chosen_DV = is_above_DV | (is_at_DV & (is_at_DV.cumsum(dim=-1) <= room_D1))
        ids_CK[is_tied_C] = is_chosen_DV.nonzero()[:, 1].view(-1, k)
    return ids_CK.sort(dim=-1).values


@torch.no_grad()
def support_mass(
    hidden_NH: Tensor,
    head_VH: Tensor,
    tokens_N: Tensor,
    *,
    log_probs_N: Tensor,
    support_logits_NK: Tensor,
) -> Tensor:
    """Student probability inside the support [N]; log-sum-exp = sampled logit − its log-prob."""
    sampled_logits_N = at_least_float32((hidden_NH * head_VH[tokens_N]).sum(dim=-1))
    return (support_logits_NK.logsumexp(dim=-1) - sampled_logits_N + log_probs_N).exp()
