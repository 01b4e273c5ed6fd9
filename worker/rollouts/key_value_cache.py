"""A key/value cache with room to grow: a decode step writes one column and copies nothing."""

from typing import cast

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

INITIAL_ROOM = 128  # positions


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer, [B, heads, room, head width], filled from the left.

    Room doubles when it runs out, so memory follows the longest response, not the limit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def make_room(self) -> None:
        """For one position more."""
        if self.length == self.keys.shape[-2]:
            self._grow(room=2 * (self.length + 1))

    def put(
        self, column_1: Tensor, keys_BG1D: Tensor, values_BG1D: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Writes the column whose number is in `column_1`, on the device; all of the room, filled or not.

        For a recorded step, which finds the same tensors each time: whoever replays it counts `length`.
        """
        self.keys.index_copy_(2, column_1, keys_BG1D)
        self.values.index_copy_(2, column_1, values_BG1D)
        return self.keys, self.values

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Appends [B, heads, new, head width]; returns views of all that is filled."""
        end = self.length + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys = _with_room(key_states, end + INITIAL_ROOM)
            self.values = _with_room(value_states, end + INITIAL_ROOM)
        elif end > self.keys.shape[-2]:
            self._grow(room=2 * end)
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _grow(self, *, room: int) -> None:
        filled = slice(0, self.length)
        self.keys, self.values = (
            _copied(states[:, :, filled], room=room) for states in (self.keys, self.values)
        )

    def get_seq_length(self) -> int:
        return self.length

    def select_rows(self, rows: Tensor) -> None:
        """Keeps `rows` (repeats allowed), in that order; copies only the filled part."""
        self.keys, self.values = (
            _copied(states[:, :, : self.length].index_select(0, rows), room=states.shape[-2])
            for states in (self.keys, self.values)
        )


class RoomyCache(Cache):
    """One `RoomyLayer` a decoder layer."""

    def __init__(self, model: PreTrainedModel) -> None:
        num_layers = model.config.get_text_config().num_hidden_layers
        super().__init__(layers=[RoomyLayer() for _ in range(num_layers)])

    @property
    def first_keys(self) -> Tensor:
        """Of the first layer: other memory whenever rows were selected or room was made."""
        return self._roomy_layers[0].keys

    def select_rows(self, rows: Tensor) -> None:
        for layer in self._roomy_layers:
            layer.select_rows(rows)

    def make_room(self) -> None:
        for layer in self._roomy_layers:
            layer.make_room()

    def count_one_more(self) -> None:
        """Of the positions that are filled, after a step that wrote them by `put`."""
        for layer in self._roomy_layers:
            layer.length += 1

    @property
    def _roomy_layers(self) -> list[RoomyLayer]:
        return cast("list[RoomyLayer]", self.layers)


def _with_room(like: Tensor, room: int) -> Tensor:
    # A recorded step looks at all of it: what is masked still must be finite.
    make = like.new_zeros if like.is_cuda else like.new_empty
    return make(*like.shape[:-2], room, like.shape[-1])


def _copied(filled: Tensor, *, room: int) -> Tensor:
    roomy = _with_room(filled, room)
    roomy[:, :, : filled.shape[-2]] = filled
    return roomy


def all_rows_repeated(num_rows: int, repeats: Tensor, device: torch.device) -> Tensor:
    """Row indices [sum of repeats] that deal each of `num_rows` rows out as often as it says."""
    return torch.repeat_interleave(torch.arange(num_rows, device=device), repeats.to(device))
