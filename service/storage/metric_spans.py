"""Which updates of which attempt stand: an attempt that went on from update u replaces those after u."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.storage.tables import AttemptRow

NO_END = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Span:
    """Updates of one attempt: those after `after`, up to and with `until`."""

    epoch: int
    after: int
    until: int


def standing_spans(session: Session, job_id: str) -> list[Span]:
    """Oldest first, so that their updates ascend. The same updates as `result_reads.stands` keeps.

    Empty spans are left out; the newest span has no end.
    """
    attempts = session.execute(
        select(AttemptRow.epoch, AttemptRow.resumed_from_update)
        .where(AttemptRow.job_id == job_id)
        .order_by(AttemptRow.epoch.desc())
    ).all()
    spans: list[Span] = []
    until = NO_END
    for epoch, resumed_from in attempts:
        after = resumed_from or 0
        if after < until:
            spans.append(Span(epoch, after, until))
        if resumed_from is not None:
            until = min(until, resumed_from)
    return spans[::-1]
