"""What is asked of a process for algebra, and what it says."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Question:
    """Whether two normalised answers are the same."""

    given: str
    gold: str


class Finding(StrEnum):
    """LIMIT: time or memory ran out. UNKNOWN: it cannot tell, as of what it cannot read."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    LIMIT = "limit"
