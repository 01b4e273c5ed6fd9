"""What an answer is made of: values, lists, sets, tuples, intervals, unions, matrices, names, relations."""

from dataclasses import dataclass
from enum import StrEnum

from worker.evaluation.answers.brackets import tokens_of


class Kind(StrEnum):
    """How the members of a listing stand together; bare lists, sets and unions have no order.

    The brackets of an interval are those of a tuple, so that `(1,2)` is read without knowing which it is.
    """

    BARE = "bare"
    SET = "set"
    OPEN = "()"
    CLOSED = "[]"
    OPEN_CLOSED = "(]"
    CLOSED_OPEN = "[)"
    UNION = "union"
    MATRIX = "matrix"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Value:
    """What is not looked into: a number, an expression, a word."""

    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    kind: Kind
    members: tuple["Answer", ...]


@dataclass(frozen=True, slots=True)
class Named:
    r"""A name and what it stands for: `x=5`, `f(x)=1`, `(p,q)=(3,2)`, `x\in[1,2]`, `x<3` as `(-\infty,3)`."""

    name: str
    value: "Answer"


@dataclass(frozen=True, slots=True)
class Relation:
    r"""An equation or inequality, perhaps a chain: terms[i] signs[i] terms[i+1], without `>` and `\geq`."""

    terms: tuple[str, ...]
    signs: tuple[str, ...]


Answer = Value | Listing | Named | Relation

INTERVALS = frozenset({Kind.OPEN, Kind.CLOSED, Kind.OPEN_CLOSED, Kind.CLOSED_OPEN})


def renamed(answer: Answer, old: str, new: str) -> Answer:
    """The answer with one variable written as another."""

    def in_text(text: str) -> str:
        return "".join(new if token == old else token for token in tokens_of(text))

    match answer:
        case Value(text):
            return Value(in_text(text))
        case Listing(kind, members):
            return Listing(kind, tuple(renamed(member, old, new) for member in members))
        case Named(name, value):
            return Named(name, renamed(value, old, new))
        case Relation(terms, signs):
            return Relation(tuple(map(in_text, terms)), signs)
