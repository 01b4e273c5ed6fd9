"""What the grader says about a response."""

from dataclasses import dataclass, field
from enum import StrEnum


class Rule(StrEnum):
    """Where responses carry their answer and how it is compared.

    ARITHMETIC: behind the last `#### `, digit by digit. BOXED: in the last box. SHORT: the text is the answer,
    or a sentence that gives it.
    """

    ARITHMETIC = "arithmetic"
    BOXED = "boxed"
    SHORT = "short"


class Outcome(StrEnum):
    """GRADER_TIMEOUT: comparing took more time or memory than it may; it scores as wrong does."""

    RIGHT = "right"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    GRADER_TIMEOUT = "grader_timeout"


class Layer(StrEnum):
    """What decided a verdict.

    SYMBOLIC: algebra, in a process of its own. LIMIT: an answer too long, too deep or with too large numbers to
    try that. UNDECIDED: no layer could tell, which is wrong by default.
    """

    EXTRACTION = "extraction"
    INTEGER = "integer"
    RATIONAL = "rational"
    STRING = "string"
    SYMBOLIC = "symbolic"
    LIMIT = "limit"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One response's outcome.

    extracted: the answer as the model wrote it, cut to 1,000 characters; None without one.
    answer_key: a text that equal answers share, for voting; at most 200 characters, hashed where it would be
    longer; None without an answer.
    milliseconds: what grading took, without the start of processes.
    """

    outcome: Outcome
    layer: Layer
    extracted: str | None
    answer_key: str | None = field(default=None, compare=False)
    milliseconds: float = field(default=0.0, compare=False)
