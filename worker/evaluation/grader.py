"""Grades many responses: what text decides here, what needs algebra in processes that can be killed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from types import TracebackType
from typing import Self

from worker.evaluation.grading import examine
from worker.evaluation.symbolic.pool import Reply, SymbolicPool
from worker.evaluation.symbolic.questions import Finding
from worker.evaluation.verdicts import Layer, Outcome, Rule, Verdict

# Raised when the same response would get another verdict.
GRADER_REVISION = 1


@dataclass(frozen=True, slots=True)
class GradingRequest:
    response: str
    gold: str
    rule: Rule


class Grader:
    """A context in which responses are graded; its processes start with the first question for algebra.

    They die with the thread that asked it. Not to be shared by threads.
    """

    def __init__(self, *, num_workers: int = 1) -> None:
        self._pool = SymbolicPool(num_processes=num_workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.close()

    def grade(self, requests: Sequence[GradingRequest]) -> list[Verdict]:
        """The verdicts in the order of the requests; equal questions are asked once.

        Raises GraderUnavailableError where the processes do not start.
        """
        examined = [examine(each.response, gold=each.gold, rule=each.rule) for each in requests]
        questions = list(dict.fromkeys(question for _, question in examined if question))
        replies = dict(zip(questions, self._pool.ask(questions), strict=True))
        verdicts = []
        for verdict, question in examined:
            if question is None:
                verdicts.append(verdict)
                continue
            reply = replies[question]
            verdicts.append(_decided(verdict, reply))
            replies[question] = replace(reply, milliseconds=0.0)  # its time is spent once
        return verdicts


def grader_version() -> str:
    """What graded, with the versions of the libraries that verdicts depend on."""
    libraries = ("math-verify", "sympy")
    return ", ".join(
        [
            f"driftgate {GRADER_REVISION}",
            *(f"{library} {version(library)}" for library in libraries),
        ]
    )


def _decided(undecided: Verdict, reply: Reply) -> Verdict:
    outcome, layer = {
        Finding.EQUAL: (Outcome.RIGHT, Layer.SYMBOLIC),
        Finding.DIFFERENT: (Outcome.WRONG, Layer.SYMBOLIC),
        Finding.UNKNOWN: (Outcome.WRONG, Layer.UNDECIDED),
        Finding.LIMIT: (Outcome.GRADER_TIMEOUT, Layer.SYMBOLIC),
    }[reply.finding]
    milliseconds = undecided.milliseconds + reply.milliseconds
    return replace(undecided, outcome=outcome, layer=layer, milliseconds=milliseconds)
