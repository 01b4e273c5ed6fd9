"""What jobs do as they do it: their history and their changes as streams of server-sent events."""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx

from service.client_http import PASSING_ERRORS, Connection, job_path, retry_delays_s
from service.jobs.results import JobChange, JobEvent

# A stream without a heartbeat for so long is a dead connection.
STREAM_SILENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class ServerSentMessage:
    """One message of a `text/event-stream`; without data it only says where the stream stands."""

    event: str
    id: str | None
    data: bytes


class StreamCalls(Connection):
    """Streams outlast restarts of the service, and then go on after what was yielded last."""

    def stream_events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """Every event after the seq `after` as it happens, each once and in order; ends with the job."""
        for message in self._messages(job_path(job_id, "/events:stream"), last_id=str(after)):
            if message.event == "end":
                return
            if message.data:
                yield JobEvent.model_validate_json(message.data)

    def stream_changes(self, *, after: str | None = None) -> Iterator[JobChange]:
        """Jobs of the whole service as they change, from a token of `changes` or from now on; has no end."""
        for message in self._messages("v1/jobs:watch", last_id=after):
            if message.data:
                yield JobChange.model_validate_json(message.data)

    def _messages(self, path: str, *, last_id: str | None) -> Iterator[ServerSentMessage]:
        """The messages of a stream that is asked for again, from the last id on, whenever it breaks off."""
        delays_s = retry_delays_s()
        while True:
            headers = {"Accept": "text/event-stream"}
            if last_id is not None:
                headers["Last-Event-ID"] = last_id
            request = self._request("GET", path, headers=headers, timeout_s=STREAM_SILENCE_S)
            with (
                suppress(*PASSING_ERRORS),
                self._repeat_stream(request, for_s=math.inf) as response,
            ):
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                for message in parse_messages(response.iter_bytes()):
                    last_id = message.id or last_id
                    delays_s = retry_delays_s()
                    yield message
            time.sleep(next(delays_s))


def parse_messages(chunks: Iterable[bytes]) -> Iterator[ServerSentMessage]:
    """The messages of a stream; one that the stream breaks off in is dropped.

    httpx's own lines would also end at U+2028 and its like, which are legal inside JSON.
    """
    fields: dict[bytes, bytes] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            earlier = fields.get(name) if name == b"data" else None
            fields[name] = value if earlier is None else earlier + b"\n" + value
            continue
        if b"data" in fields or b"id" in fields:
            yield ServerSentMessage(
                event=fields.get(b"event", b"message").decode(),
                id=fields[b"id"].decode() if b"id" in fields else None,
                data=fields.get(b"data", b""),
            )
        fields = {}


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unfinished = b""
    for chunk in chunks:
        *lines, unfinished = (unfinished + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
