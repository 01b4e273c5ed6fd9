"""How often checkpoints are written."""

import itertools

import pytest

from worker.training.cadence import CheckpointCadence


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def saved_steps(
    *, every_steps: int | None, step_s: float, costs_s: list[float], num_steps: int = 40
) -> list[int]:
    """The steps saved where each takes so long, and the checkpoints what is listed, the last ones the last."""
    clock = Clock()
    cadence = CheckpointCadence(every_steps, clock=clock)
    saved: list[int] = []
    for step in range(1, num_steps + 1):
        clock.now_s += step_s
        if cadence.is_due(step):
            with cadence.timed():
                clock.now_s += costs_s[min(len(saved), len(costs_s) - 1)]
            saved.append(step)
    return saved


@pytest.mark.parametrize("cost_s", [0.001, 1000.0])
def test_a_number_of_steps_is_kept_to_whatever_a_checkpoint_costs(cost_s: float) -> None:
    assert saved_steps(every_steps=7, step_s=1.0, costs_s=[cost_s]) == [7, 14, 21, 28, 35]


def test_a_cheap_checkpoint_is_written_after_every_step() -> None:
    assert saved_steps(every_steps=None, step_s=1.0, costs_s=[0.05]) == list(range(1, 41))


@pytest.mark.parametrize(
    ("step_s", "cost_s", "most"),
    [(1.0, 0.12, 0.05), (1.0, 0.3, 0.05), (1.0, 1.0, 0.05), (0.1, 0.05, 0.1), (0.1, 0.09, 0.1)],
)
def test_a_dear_one_takes_a_twentieth_of_the_time_at_most_and_a_quick_one_a_tenth(
    step_s: float, cost_s: float, most: float
) -> None:
    saved = saved_steps(every_steps=None, step_s=step_s, costs_s=[cost_s], num_steps=400)
    between = [later - earlier for earlier, later in itertools.pairwise(saved)]
    assert between
    share = cost_s / (min(between) * step_s + cost_s)
    assert share <= most
    # One step fewer between them would be more than that: no later than need be.
    assert cost_s / ((max(between) - 1) * step_s + cost_s) > most


def test_the_first_step_is_saved_since_only_then_its_price_is_known() -> None:
    assert saved_steps(every_steps=None, step_s=1.0, costs_s=[1e6], num_steps=5) == [1]


def test_a_checkpoint_that_waited_for_its_store_does_not_keep_the_next_ones_away() -> None:
    saved = saved_steps(every_steps=None, step_s=1.0, costs_s=[0.05, 600.0, 0.05])
    assert saved == list(range(1, 41))
