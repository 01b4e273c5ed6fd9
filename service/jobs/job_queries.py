"""What lists of jobs can be narrowed by and ordered by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from service.jobs.spec import JobKind
from service.jobs.state import JobState


class JobOrder(StrEnum):
    """The order of a list; jobs of the same time go by id."""

    NEWEST = "created_at desc"
    OLDEST = "created_at"
    CHANGED_LAST = "updated_at desc"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Every part that is given narrows the list; the empty filter keeps all jobs.

    model: the student, the teacher or the evaluated model, as the spec names it. labels: all of them, equal.
    created_from is part of the list, created_before is not.
    """

    states: tuple[JobState, ...] = ()
    kinds: tuple[JobKind, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
