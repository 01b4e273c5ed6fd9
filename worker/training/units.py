"""Which gate unit each token belongs to: the one place where granularities differ."""

from collections.abc import Sequence

from service.jobs.loss_spec import GateSpec, Granularity


def unit_of_each_token(newlines: Sequence[bool], *, spec: GateSpec) -> list[int]:
    """Unit index, from 0, of each valid token of one response, in order.

    newlines: for each valid token of the response, whether its decoded text contains a newline.
    `none` is one unit a response: without a kernel its drift is never looked at.
    """
    num_tokens = len(newlines)
    match spec.granularity:
        case Granularity.TOKEN:
            return list(range(num_tokens))
        case Granularity.BLOCK:
            return fixed_blocks(num_tokens, block_size=spec.block_size)
        case Granularity.NEWLINE_SPAN if any(newlines):
            return newline_spans(newlines, min_span=spec.min_span, max_span=spec.max_span)
        case Granularity.NEWLINE_SPAN:
            return fixed_blocks(num_tokens, block_size=spec.block_size)
        case Granularity.SEQUENCE | Granularity.NONE:
            return [0] * num_tokens


def fixed_blocks(num_tokens: int, *, block_size: int) -> list[int]:
    """Blocks of `block_size` valid tokens; the last may be shorter."""
    return [position // block_size for position in range(num_tokens)]


def newline_spans(newlines: Sequence[bool], *, min_span: int, max_span: int) -> list[int]:
    """A unit closes after a newline token once it holds `min_span` tokens, or at `max_span`."""
    units, unit, size = [], 0, 0
    for is_newline in newlines:
        units.append(unit)
        size += 1
        if (is_newline and size >= min_span) or size >= max_span:
            unit, size = unit + 1, 0
    return units
