from hypothesis import given
from hypothesis import strategies as st

from worker.evaluation.loops import is_loop


def test_four_turns_of_64_tokens_are_a_loop_and_three_are_none():
    turn = list(range(16))
    assert is_loop([99] * 3 + turn * 4)
    assert not is_loop([99] * 3 + turn * 3)


def test_what_repeats_before_the_end_is_no_loop():
    assert not is_loop([1, 2] * 200 + list(range(100)))


def test_one_token_over_and_over_needs_64_of_them():
    assert is_loop([7] * 64)
    assert not is_loop([7] * 63)


def test_a_long_turn_is_seen_as_far_as_the_tail_holds_four():
    assert is_loop(list(range(256)) * 4)
    assert not is_loop(list(range(300)) * 4)


@given(st.lists(st.integers(0, 3), max_size=120))
def test_a_loop_is_what_the_definition_says(token_ids):
    def has_period(length, period):
        tail = token_ids[-length:]
        return all(a == b for a, b in zip(tail, tail[period:], strict=False))

    expected = any(
        has_period(length, period)
        for length in range(64, len(token_ids) + 1)
        for period in range(1, length // 4 + 1)
    )
    assert is_loop(token_ids) == expected


def test_a_long_response_is_looked_at_in_no_time():
    assert not is_loop(list(range(200_000)))
