"""What the open streams are to be told next, read from the database in few queries for all of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Generic, TypeVar

from service.jobs.results import JobEvent
from service.jobs.state import TERMINAL_STATES
from service.storage.change_feed import FeedChange, FeedPlace
from service.storage.job_reads import JobMark, JobReads
from service.stream_subscriptions import Item, Place, StreamEnd, Subscription

IDS_AT_ONCE = 300
EVENTS_AT_ONCE = 200
EVENTS_OF_A_BATCH = 100
EVENTS_OF_A_ROUND = 2000
CHANGES_OF_A_BATCH = 100
PAGES_OF_A_ROUND = 20

# The place is the seq of the last event handed over.
EventSubscription = Subscription[JobEvent, int]
FeedSubscription = Subscription[FeedChange, FeedPlace]
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Handover(Generic[Item, Place]):
    """The next batch of one subscription; nothing at all where it has to wait on.

    is_behind: more is there already.
    """

    subscription: Subscription[Item, Place]
    place: Place
    batch: tuple[Item, ...] = ()
    end: StreamEnd | None = None
    is_behind: bool = False


def read_marks(job_store: JobReads, job_ids: Iterable[str]) -> dict[str, JobMark]:
    marks: dict[str, JobMark] = {}
    for some in _slices(sorted(set(job_ids)), IDS_AT_ONCE):
        marks |= job_store.marks(some)
    return marks


def read_events(
    job_store: JobReads, streams: Mapping[EventSubscription, str], marks: Mapping[str, JobMark]
) -> list[Handover[JobEvent, int]]:
    """For each stream of a job, in this order; those that one round has no room for stay behind."""
    wanted: dict[tuple[str, int], None] = {}
    for stream, job_id in streams.items():
        if len(wanted) >= EVENTS_OF_A_ROUND:
            break
        wanted |= dict.fromkeys(_next_places(stream, job_id, marks.get(job_id)))
    events: dict[tuple[str, int], JobEvent] = {}
    for some in _slices(list(wanted), EVENTS_AT_ONCE):
        events |= job_store.events_at(some)
    return [
        _next_events(stream, job_id, marks.get(job_id), events)
        for stream, job_id in streams.items()
    ]


def read_changes(
    job_store: JobReads, streams: Iterable[FeedSubscription], newest: FeedPlace
) -> list[Handover[FeedChange, FeedPlace]]:
    """For each stream of the feed. A page that was read for one serves all whose place is within it."""
    handovers = []
    page: tuple[FeedChange, ...] = ()
    page_end: FeedPlace = (-1, "")
    num_pages = 0
    for stream in sorted(streams, key=lambda each: each.place):
        if stream.place >= newest:
            handovers.append(Handover(stream, stream.place))
            continue
        if stream.place >= page_end:
            if num_pages == PAGES_OF_A_ROUND:
                handovers.append(Handover(stream, stream.place, is_behind=True))
                continue
            page = job_store.feed(after=stream.place, limit=CHANGES_OF_A_BATCH)
            page_end = page[-1].place if page else stream.place
            num_pages += 1
        batch = tuple(each for each in page if each.place > stream.place)
        place = batch[-1].place if batch else stream.place
        handovers.append(Handover(stream, place, batch, is_behind=bool(batch) and place < newest))
    return handovers


def _next_places(
    stream: EventSubscription, job_id: str, mark: JobMark | None
) -> Iterator[tuple[str, int]]:
    if mark is not None:
        last_seq = min(stream.place + EVENTS_OF_A_BATCH, mark.last_event_seq)
        yield from ((job_id, seq) for seq in range(stream.place + 1, last_seq + 1))


def _next_events(
    stream: EventSubscription,
    job_id: str,
    mark: JobMark | None,
    events: Mapping[tuple[str, int], JobEvent],
) -> Handover[JobEvent, int]:
    if mark is None:
        return Handover(stream, stream.place, end=StreamEnd.JOB_DELETED)
    found = (events.get(place) for place in _next_places(stream, job_id, mark))
    # Up to the first that was not read: a stream has no gaps.
    batch = tuple(event for event in takewhile(lambda each: each is not None, found) if event)
    place = batch[-1].seq if batch else stream.place
    is_behind = place < mark.last_event_seq
    has_ended = not is_behind and mark.state in TERMINAL_STATES
    if batch and batch[-1].state in TERMINAL_STATES:
        has_ended = True  # the job may have ended since its mark was read
    return Handover(stream, place, batch, StreamEnd.JOB_ENDED if has_ended else None, is_behind)


def _slices(parts: Sequence[Part], size: int) -> Iterator[Sequence[Part]]:
    return (parts[start : start + size] for start in range(0, len(parts), size))
