"""In which ways an attempt ends, as the counts of jobs and of workers see it."""

from enum import StrEnum

from sqlalchemy import ColumnElement, func

from service.storage.tables import AttemptRow


class AttemptEnding(StrEnum):
    """A crash may be forgiven later, when it turns out to be the worker's."""

    ANSWERED = "answered"  # the job succeeded or failed by its own doing
    LET_GO = "let_go"  # drained, paused, cancelled: says nothing of job or worker
    CRASHED = "crashed"
    FORGIVEN = "forgiven"


DEATHS = (AttemptEnding.CRASHED, AttemptEnding.FORGIVEN)


def saved_something_new(attempt: AttemptRow) -> bool:
    """Whether a later attempt goes on from further than this one did."""
    return (attempt.newest_checkpoint_update or 0) > (attempt.resumed_from_update or 0)


def has_saved_something_new() -> ColumnElement[bool]:
    """`saved_something_new` as SQL."""
    return func.coalesce(AttemptRow.newest_checkpoint_update, 0) > func.coalesce(
        AttemptRow.resumed_from_update, 0
    )
