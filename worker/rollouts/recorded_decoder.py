"""A GPU's decode step, recorded as a CUDA graph.

A step of a lean decoder is some thousand small kernels, which a GPU runs faster than Python launches them; a graph is
launched as one. It holds for one batch in one room of the cache: where rows have left or the cache has grown, the next
step runs as it is, which readies every kernel, and the one after it is recorded.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from worker.rollouts.key_value_cache import RoomyCache
from worker.rollouts.lean_decoder import LeanDecoder

# Legend: B sequences; S positions of the cache's room, filled or not; V vocabulary.


@dataclass(slots=True)
class _Inputs:
    """What a step reads, in the same memory every time."""

    tokens_B: Tensor
    positions_B: Tensor
    column_1: Tensor
    valid_BS: Tensor


class RecordedDecoder:
    """The logits of `LeanDecoder.logits`; what it returns is overwritten by its next call."""

    def __init__(self, decoder: LeanDecoder) -> None:
        self._decoder = decoder
        self._room_BGSD: Tensor | None = None  # the first layer's keys: new memory is a new room
        self._inputs: _Inputs | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._logits_BV: Tensor | None = None

    def logits(
        self, tokens_B: Tensor, positions_B: Tensor, cache: RoomyCache, valid_BS: Tensor
    ) -> Tensor:
        """valid_BS: of all positions that a response can reach, whether they are real."""
        cache.make_room()
        column = cache.get_seq_length()
        inputs = self._inputs
        if inputs is None or cache.first_keys is not self._room_BGSD:
            self._graph, self._room_BGSD = None, cache.first_keys
            inputs = self._inputs = _Inputs(
                tokens_B.clone(),
                positions_B.clone(),
                torch.full((1,), column, device=tokens_B.device),
                _over_room(valid_BS, self._room_BGSD.shape[-2]),
            )
            logits_BV = self._step(inputs, cache)
        else:
            inputs.tokens_B.copy_(tokens_B)
            inputs.positions_B.copy_(positions_B)
            inputs.column_1.fill_(column)
            if self._graph is None:
                self._graph = torch.cuda.CUDAGraph()
                # Other threads may use the GPU meanwhile.
                with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                    self._logits_BV = self._step(inputs, cache)
            self._graph.replay()
            assert self._logits_BV is not None
            logits_BV = self._logits_BV
        cache.count_one_more()
        return logits_BV

    def _step(self, inputs: _Inputs, cache: RoomyCache) -> Tensor:
        columns_S = torch.arange(inputs.valid_BS.shape[1], device=inputs.valid_BS.device)
        mask_BS = inputs.valid_BS & (columns_S <= inputs.column_1)
        return self._decoder.logits(
            inputs.tokens_B,
            inputs.positions_B,
            cache,
            mask_BS[:, None, None],
            column_1=inputs.column_1,
        )


def _over_room(valid_BS: Tensor, room: int) -> Tensor:
    """Room may be more or less than a response can fill."""
    valid_of_room_BS = valid_BS.new_zeros(len(valid_BS), room)
    width = min(room, valid_BS.shape[1])
    valid_of_room_BS[:, :width] = valid_BS[:, :width]
    return valid_of_room_BS
