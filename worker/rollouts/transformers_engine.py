"""Batched generation with a transformers model: prompts prefilled once, finished rows leave the batch."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from service.jobs.catalog import Metric
from worker.rollouts.engine import FinishReason, Response, RolloutRequest, SamplingParams
from worker.rollouts.key_value_cache import RoomyCache, all_rows_repeated
from worker.rollouts.lean_decoder import LeanDecoder
from worker.rollouts.recorded_decoder import RecordedDecoder
from worker.rollouts.sampling import sample_tokens, uniforms

# Legend: R requests of a batch, B sequences of a batch, S cache positions, T response tokens,
# V vocabulary.

# Copying the cache costs about one decode step, so rows leave in groups.
FRACTION_FINISHED_BEFORE_COMPACTION = 0.125

# All but cuDNN's, which torch prefers on a GPU: it adds up in another order each time, so that samples would not repeat.
REPEATABLE_ATTENTION = [
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]

# From tokens and positions [B], the cache and which of its positions are real [B, S] to logits [B, V].
Decode = Callable[[Tensor, Tensor, RoomyCache, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a response belongs in the answer, and the seed of its sample."""

    request: int
    sample: int
    seed: int


class TransformersEngine:
    """Samples from a model in place: what the trainer changes in it holds for the next rollout.

    The batches are a function of the requests, so equal requests give equal samples: bit for bit on one machine's
    CPU or one GPU.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_token_ids: frozenset[int],
        pad_token_id: int,
        device: torch.device,
        max_batch_size: int,
    ) -> None:
        self._model = model
        self._lean = LeanDecoder(model) if LeanDecoder.fits(model) else None
        self._eos_token_ids = torch.tensor(sorted(eos_token_ids), device=device)
        self._pad_token_id = pad_token_id
        self._device = device
        self._max_batch_size = max_batch_size

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[RolloutRequest], *, sampling: SamplingParams
    ) -> list[list[Response]]:
        """Responses [request][sample]; EOS, where sampled, is a response's last token."""
        answers: list[dict[int, Response]] = [{} for _ in requests]
        with _repeatable_attention(self._device):
            for slots in self._batches(requests):
                for slot, response in zip(
                    slots, self._generate_batch(requests, slots, sampling), strict=True
                ):
                    answers[slot.request][slot.sample] = response
        return [[by_sample[sample] for sample in sorted(by_sample)] for by_sample in answers]

    def weights_changed(self) -> None:
        """The model is the trainer's own."""

    def synchronize(self) -> Mapping[Metric, float]:
        return {}

    def rest(self) -> None:
        """Between two calls it holds nothing."""

    def _batches(self, requests: Sequence[RolloutRequest]) -> Iterator[list[Slot]]:
        """Longest prompts first; the samples of a prompt stay together as far as they fit."""
        order = sorted(range(len(requests)), key=lambda i: -len(requests[i].prompt_token_ids))
        slots = [
            Slot(request, sample, seed)
            for request in order
            for sample, seed in enumerate(requests[request].seeds)
        ]
        for start in range(0, len(slots), self._max_batch_size):
            yield slots[start : start + self._max_batch_size]

    def _generate_batch(
        self, requests: Sequence[RolloutRequest], slots: list[Slot], sampling: SamplingParams
    ) -> list[Response]:
        logits_BV, cache, valid_BS = self._prefill(requests, slots, sampling.max_response_tokens)
        uniforms_BT = uniforms([slot.seed for slot in slots], sampling.max_response_tokens).to(
            self._device
        )
        prompt_width = cache.get_seq_length()
        tokens_BT = torch.full(
            (len(slots), sampling.max_response_tokens), -1, dtype=torch.long, device=self._device
        )
        lengths_B = valid_BS[:, :prompt_width].sum(dim=1)
        rows_B = torch.arange(len(slots), device=self._device)  # slots still in the batch
        finished_B = torch.zeros_like(rows_B, dtype=torch.bool)
        decode = self._decoder_of_batch()
        for t in range(sampling.max_response_tokens):
            sampled_B = sample_tokens(logits_BV, uniforms_BT[rows_B, t], sampling=sampling)
            sampled_B = sampled_B.masked_fill(finished_B, -1)
            tokens_BT[rows_B, t] = sampled_B
            finished_B = finished_B | torch.isin(sampled_B, self._eos_token_ids)
            num_finished = int(finished_B.sum())
            if num_finished == len(rows_B) or t + 1 == sampling.max_response_tokens:
                break
            if num_finished >= max(1.0, FRACTION_FINISHED_BEFORE_COMPACTION * len(rows_B)):
                kept_B = (~finished_B).nonzero()[:, 0]
                cache.select_rows(kept_B)
                rows_B, sampled_B, valid_BS = rows_B[kept_B], sampled_B[kept_B], valid_BS[kept_B]
                finished_B = torch.zeros_like(rows_B, dtype=torch.bool)
            logits_BV = decode(sampled_B.clamp(min=0), lengths_B[rows_B] + t, cache, valid_BS)
        return self._responses(tokens_BT[:, : t + 1])

    def _prefill(
        self, requests: Sequence[RolloutRequest], slots: list[Slot], max_response_tokens: int
    ) -> tuple[Tensor, RoomyCache, Tensor]:
        """Next-token logits [B, V], the filled cache, and which cache positions are real [B, S].

        Each distinct prompt is computed once, padded on the left, and its rows then repeated.
        """
        repeats = Counter(slot.request for slot in slots)  # in order of first appearance
        repeats_R = torch.tensor(list(repeats.values()))
        prompts = [requests[request].prompt_token_ids for request in repeats]
        width = max(map(len, prompts))
        capacity = width + max_response_tokens
        token_ids_RS = torch.tensor(
            [[self._pad_token_id] * (width - len(ids)) + list(ids) for ids in prompts],
            device=self._device,
        )
        valid_RS = torch.ones(len(prompts), capacity, dtype=torch.bool, device=self._device)
        for row, ids in enumerate(prompts):
            valid_RS[row, : width - len(ids)] = False
        prompt_mask_RS = valid_RS[:, :width]
        cache = RoomyCache(self._model)
        logits_RV = self._model(
            input_ids=token_ids_RS,
            attention_mask=prompt_mask_RS.long(),
            position_ids=(prompt_mask_RS.cumsum(dim=1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        rows_B = all_rows_repeated(len(prompts), repeats_R, self._device)
        cache.select_rows(rows_B)
        return logits_RV[rows_B], cache, valid_RS[rows_B]

    def _decoder_of_batch(self) -> Decode:
        """A recorded step belongs to the cache of its batch."""
        if self._lean is not None and self._device.type == "cuda":
            return RecordedDecoder(self._lean).logits
        return self._decode

    def _decode(
        self, tokens_B: Tensor, positions_B: Tensor, cache: RoomyCache, valid_BS: Tensor
    ) -> Tensor:
        """Logits [B, V] after one more token a row. A four-dimensional mask is used as it is."""
        width = cache.get_seq_length() + 1
        mask_B11S = valid_BS[:, None, None, :width]
        if self._lean is not None:
            return self._lean.logits(tokens_B, positions_B, cache, mask_B11S)
        return self._model(
            input_ids=tokens_B[:, None],
            attention_mask=mask_B11S,
            position_ids=positions_B[:, None],
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]

    def _responses(self, tokens_BT: Tensor) -> list[Response]:
        """A row ends before its first −1; it stopped where its last token is an EOS."""
        eos_token_ids = set(self._eos_token_ids.tolist())
        responses = []
        for row in tokens_BT.tolist():
            length = row.index(-1) if -1 in row else len(row)
            stopped = row[length - 1] in eos_token_ids
            responses.append(
                Response(
                    token_ids=tuple(row[:length]),
                    finish_reason=FinishReason.STOP if stopped else FinishReason.LENGTH,
                )
            )
        return responses


def _repeatable_attention(device: torch.device) -> AbstractContextManager[None]:
    return sdpa_kernel(REPEATABLE_ATTENTION) if device.type == "cuda" else nullcontext()
