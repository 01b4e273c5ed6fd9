"""The built-in problems: their texts, and that a seed means the same ones for ever."""

from service.jobs.arithmetic import Chain, arithmetic_problems
from service.jobs.problem_sources import ArithmeticSource


def test_a_chain_is_written_with_its_labels_and_solved_line_by_line() -> None:
    chain = Chain(start=2, operations=(("+", 4), ("*", 7), ("+", 9), ("*", 3)))

    assert chain.prompt() == "2a+4b*7c+9d*3=?"
    assert chain.solution() == "a2+4=6\nb6*7=2\nc2+9=1\nd1*3=3\n#### 6213"
    assert chain.answer() == "6213"


def test_a_seed_keeps_its_problems() -> None:
    """The confirmed tables name seeds; other problems under them would make these tables say nothing."""
    first, second = arithmetic_problems(ArithmeticSource(num_problems=2, seed=7), split="held-out")

    assert first.id == "held-out-7-00000"
    assert first.problem == "3a*8b+5c+3d+8e+2f*0g+3h*7i*9j+9k*8=?"
    assert first.answer == "1984"
    assert second.id == "held-out-7-00001"
