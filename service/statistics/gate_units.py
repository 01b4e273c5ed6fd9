"""Which gate unit each token belongs to, of many responses at once.

Legend: N valid response tokens, in order of response and position; R responses; U gate units.
"""

from dataclasses import dataclass

import numpy as np

from service.jobs.loss_spec import GateSpec, Granularity
from service.statistics.token_drift import Flags, Integers, TokenDrift


@dataclass(frozen=True, slots=True)
class GateUnits:
    """`unit_ids_N` in [0, U) and ascending; the response of each unit."""

    unit_ids_N: Integers
    response_of_unit_U: Integers

    @property
    def num_units(self) -> int:
        return len(self.response_of_unit_U)


def gate_units(drift: TokenDrift, *, spec: GateSpec) -> GateUnits:
    """Cut by valid response position; of a spec without a gate a unit is a response."""
    responses_N = np.repeat(np.arange(len(drift.lengths_R)), drift.lengths_R)
    starts_R = np.cumsum(drift.lengths_R) - drift.lengths_R
    positions_N = np.arange(len(responses_N)) - starts_R[responses_N]
    match spec.granularity:
        case Granularity.TOKEN:
            is_first_N = np.ones(len(responses_N), dtype=np.bool_)
        case Granularity.BLOCK:
            is_first_N = positions_N % spec.block_size == 0
        case Granularity.NEWLINE_SPAN:
            has_newline_R = np.logical_or.reduceat(drift.newlines_N, starts_R)
            is_first_N = positions_N % spec.block_size == 0
            is_first_N[has_newline_R[responses_N]] = False
            _start_spans(is_first_N, drift, starts_R, has_newline_R, spec=spec)
        case Granularity.SEQUENCE | Granularity.NONE:
            is_first_N = positions_N == 0
    return GateUnits(np.cumsum(is_first_N) - 1, responses_N[is_first_N])


def _start_spans(
    is_first_N: Flags,
    drift: TokenDrift,
    starts_R: Integers,
    has_newline_R: Flags,
    *,
    spec: GateSpec,
) -> None:
    """Marks the first tokens of the spans: one ends at a newline once it has `min_span` tokens, or at `max_span`."""
    num_tokens = len(is_first_N)
    places_N = np.arange(num_tokens)
    newline_or_none_N = np.where(drift.newlines_N, places_N, num_tokens)
    next_newline_N = np.minimum.accumulate(newline_or_none_N[::-1])[::-1]
    earliest_N = np.minimum(places_N + spec.min_span - 1, num_tokens)
    last_N = np.minimum(
        np.append(next_newline_N, num_tokens)[earliest_N], places_N + spec.max_span - 1
    )
    # Of a span that began at each token; a walk from span to span is all that is left to do.
    next_first = (last_N + 1).tolist()
    ends_R = starts_R + drift.lengths_R
    firsts: list[int] = []
    for start, end in zip(
        starts_R[has_newline_R].tolist(), ends_R[has_newline_R].tolist(), strict=True
    ):
        first = start
        while first < end:
            firsts.append(first)
            first = next_first[first]
    is_first_N[firsts] = True
