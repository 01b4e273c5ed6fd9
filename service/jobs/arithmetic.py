"""The built-in benchmark: chained digit arithmetic, learnable by 100k-parameter models.

A problem is `2a+4b+7c*9=?`: a start digit, then operations, each announced by its label. Its solution
has one labelled step a line, each modulo 10 (`a2+4=6`), and ends in `#### ` and the last four states.
"""

import random
from dataclasses import dataclass

from service.jobs.problem_sources import ArithmeticSource, Problem
from service.jobs.seeds import derive_seed

LABELS = "abcdefghijklmnopqrstuvwxyz"
ANSWER_MARK = "#### "
NUM_ANSWER_STATES = 4


@dataclass(frozen=True, slots=True)
class Chain:
    """A start digit and the operations (`+` or `*`, digit) that follow it, modulo 10."""

    start: int
    operations: tuple[tuple[str, int], ...]

    def states(self) -> list[int]:
        """The state after each operation."""
        states, state = [], self.start
        for operator, operand in self.operations:
            state = (state + operand if operator == "+" else state * operand) % 10
            states.append(state)
        return states

    def prompt(self) -> str:
        steps = zip(LABELS, self.operations, strict=False)
        return (
            str(self.start)
            + "".join(f"{label}{operator}{operand}" for label, (operator, operand) in steps)
            + "=?"
        )

    def answer(self) -> str:
        return "".join(str(state) for state in self.states()[-NUM_ANSWER_STATES:])

    def solution(self) -> str:
        """The response that a perfect model gives, without its EOS token."""
        lines, state = [], self.start
        for label, (operator, operand), result in zip(
            LABELS, self.operations, self.states(), strict=False
        ):
            lines.append(f"{label}{state}{operator}{operand}={result}\n")
            state = result
        return "".join(lines) + ANSWER_MARK + self.answer()


def random_chain(source: random.Random, *, min_operations: int, max_operations: int) -> Chain:
    """A chain with uniformly many operations of the range, uniform operators and digits."""
    num_operations = source.randint(min_operations, max_operations)
    operations = tuple((source.choice("+*"), source.randrange(10)) for _ in range(num_operations))
    return Chain(start=source.randrange(10), operations=operations)


def arithmetic_problems(source: ArithmeticSource, *, split: str) -> tuple[Problem, ...]:
    """Distinct problems; `split` (`training`, `held-out`, …) separates streams of the same seed."""
    stream = random.Random(derive_seed("arithmetic", split, source.seed))  # noqa: S311 not a secret
    problems: dict[str, Problem] = {}
    attempts_left = 20 * source.num_problems
    while len(problems) < source.num_problems and attempts_left:
        attempts_left -= 1
        chain = random_chain(
            stream, min_operations=source.min_operations, max_operations=source.max_operations
        )
        prompt = chain.prompt()
        if prompt not in problems:
            problems[prompt] = Problem(
                id=f"{split}-{source.seed}-{len(problems):05d}",
                problem=prompt,
                answer=chain.answer(),
            )
    return tuple(problems.values())
