"""What a rollout engine promises, whatever generates the tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service.jobs.catalog import Metric


class FinishReason(StrEnum):
    """Why a response ended: an EOS token, or the length limit."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """The distribution to sample from: softmax(logits / temperature), cut to its `top_k` most likely
    tokens (None: all), renormalised, and cut to the top-p nucleus of these.
    """

    temperature: float
    top_p: float
    max_response_tokens: int
    top_k: int | None = None


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """One prompt and one seed per sample wanted of it."""

    prompt_token_ids: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Response:
    """Sampled token ids; the EOS token, where one was sampled, is the last of them."""

    token_ids: tuple[int, ...]
    finish_reason: FinishReason


class RolloutEngine(Protocol):
    """Samples responses of one model, whose weights may be changed between two calls."""

    def generate(
        self, requests: Sequence[RolloutRequest], *, sampling: SamplingParams
    ) -> list[list[Response]]:
        """Responses [request][sample], in the order asked for; a sample depends on its seed.

        They are of the model's weights as they are now. Raises as `synchronize` does.
        """
        ...

    def weights_changed(self) -> None:
        """Told after every change of the model's weights."""
        ...

    def synchronize(self) -> Mapping[Metric, float]:
        """Takes over the model's weights where they have changed; what that took since it was last asked.

        Empty where the engine samples from the model itself. Raises ENGINE_OUT_OF_SYNC where it then
        gives other log-probs than the model.
        """
        ...

    def rest(self) -> None:
        """Lends its memory on the device to the trainer, until it is next used."""
        ...
