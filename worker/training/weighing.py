"""Position weights of a micro-batch while its head is under way, chunk by chunk.

Legend: N valid response tokens of the micro-batch; C tokens of a chunk; U gate units.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from service.jobs.loss_spec import GateSpec, Granularity, Normalization
from worker.training.gate import Units, drift_nats, normalised, partial_gates
from worker.training.head import whole_group_chunks

MAX_ABS_LOSS = 65_504.0  # of float16


class Weighing:
    """Turns log-probs into weights and remembers drift, weights and losses of what it has seen.

    known_weights_N: the weights, where they had to be found beforehand. Otherwise each chunk must hold
    whole gate units (whole responses under `sequence`), and the weights lack the minibatch's normaliser.
    """

    def __init__(
        self,
        units: Units,
        old_log_probs_N: Tensor | None,
        *,
        spec: GateSpec,
        known_weights_N: Tensor | None,
    ) -> None:
        self._units = units
        self._old_log_probs_N = old_log_probs_N
        self._spec = spec
        self._known_weights_N = known_weights_N
        self._log_probs: list[Tensor] = []
        self._drifts: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._losses: list[Tensor] = []
        self.num_scopes_closed = 0

    def weights(self, chunk: slice, log_probs_C: Tensor) -> Tensor:
        """Weights [C] at the current log-probs.

        Without old log-probs these are the old ones: nothing has drifted and every weight is 1.
        """
        log_probs_C = log_probs_C.detach()
        if self._old_log_probs_N is None:
            # 0 where a token was looked at, NaN elsewhere.
            drift_C, weights_C = log_probs_C - log_probs_C, torch.ones_like(log_probs_C)
        else:
            drift_C = drift_nats(log_probs_C, self._old_log_probs_N[chunk])
            weights_C = self._weights_at(chunk, drift_C)
        self._log_probs.append(log_probs_C)
        self._drifts.append(drift_C)
        self._weights.append(weights_C)
        return weights_C

    def see_losses(self, losses_C: Tensor) -> None:
        """Position losses of the next tokens, before their weights."""
        self._losses.append(losses_C.detach())

    def _weights_at(self, chunk: slice, drift_C: Tensor) -> Tensor:
        """The known weights, or all but the minibatch's normaliser of the gate."""
        if self._known_weights_N is not None:
            return self._known_weights_N[chunk]
        units = self._units.part(chunk)
        gates_C = partial_gates(drift_C, units, spec=self._spec)
        if self._spec.normalization is not Normalization.SEQUENCE:
            return gates_C
        weights_C, num_closed = normalised(gates_C, units, spec=self._spec)
        self.num_scopes_closed += num_closed
        return weights_C

    @property
    def log_probs_N(self) -> Tensor:
        return self._joined(self._log_probs)

    @property
    def drift_N(self) -> Tensor:
        return self._joined(self._drifts)

    @property
    def is_observed_N(self) -> Tensor:
        """Whether a token's log-prob was looked at: without a gate that is left to the caller."""
        return ~self.drift_N.isnan()

    @property
    def weights_N(self) -> Tensor:
        return self._joined(self._weights)

    @property
    def abs_losses_N(self) -> Tensor:
        """In float16, the largest number of which stands for all beyond it."""
        return self._joined(self._losses).abs().clamp(max=MAX_ABS_LOSS).half()

    def _joined(self, parts: list[Tensor]) -> Tensor:
        """Empty where there was no token to weigh."""
        return torch.cat(parts) if parts else torch.empty(0, device=self._units.unit_ids_N.device)


def chunks_of_whole_units(units: Units, *, spec: GateSpec, max_tokens: int) -> list[slice] | None:
    """Chunks inside which every gate can be known; None where a unit or response is too long."""
    if spec.granularity is Granularity.NONE:
        group_ids_N = torch.arange(len(units.unit_ids_N))  # every gate is 1, wherever it is cut
    elif spec.normalization is Normalization.SEQUENCE:
        group_ids_N = units.sequence_ids_N
    else:
        group_ids_N = units.unit_ids_N
    sizes: Sequence[int] = torch.unique_consecutive(group_ids_N, return_counts=True)[1].tolist()
    return whole_group_chunks(sizes, max_tokens=max_tokens)
