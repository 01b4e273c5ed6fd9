"""Tokens to units, by hand."""

from service.jobs.loss_spec import GateSpec
from worker.training.units import unit_of_each_token


def units(newlines: str, **spec: object) -> list[int]:
    """`n` is a newline token, `.` any other."""
    return unit_of_each_token([c == "n" for c in newlines], spec=GateSpec.model_validate(spec))


def test_the_last_block_is_partial() -> None:
    assert units(".....", block_size=2) == [0, 0, 1, 1, 2]


def test_a_span_closes_after_a_newline_once_it_is_long_enough() -> None:
    spans = units(".n..n.n", granularity="newline_span", min_span=3, max_span=9)
    assert spans == [0, 0, 0, 0, 0, 1, 1]


def test_a_span_closes_at_its_longest_without_waiting_for_a_newline() -> None:
    spans = units("......n", granularity="newline_span", min_span=1, max_span=3)
    assert spans == [0, 0, 0, 1, 1, 1, 2]


def test_a_response_without_newlines_is_cut_into_fixed_blocks() -> None:
    assert units("....", granularity="newline_span", block_size=3) == [0, 0, 0, 1]


def test_a_response_without_valid_tokens_has_no_unit() -> None:
    assert units("") == []
