"""Watchers of jobs: each follows one job's stream of events, and goes on after the last one where it breaks."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx

from tests.chaos.history import Watch

# The server says something at least every 15 s.
READ_TIMEOUT_S = 20.0
RECONNECT_S = 0.2
MAX_WATCHERS = 6
NOT_FOUND = 404


class Watcher(threading.Thread):
    def __init__(self, name: str, job_id: str, *, url: str, api_key: str, stop: threading.Event):
        super().__init__(name=name, daemon=True)
        self._job_id = job_id
        self._url = f"{url}/v1/jobs/{job_id}/events:stream"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._stop_asked = stop
        self._seqs: list[int] = []
        self._has_ended = False

    def run(self) -> None:
        with httpx.Client(timeout=httpx.Timeout(5.0, read=READ_TIMEOUT_S), trust_env=False) as http:
            while not (self._has_ended or self._stop_asked.is_set()):
                with suppress(httpx.HTTPError):  # the server is away, or was killed in the middle
                    self._follow(http)
                if not self._has_ended:
                    self._stop_asked.wait(RECONNECT_S)

    def watched(self) -> Watch:
        return Watch(self.name, self._job_id, tuple(self._seqs), self._has_ended)

    def _follow(self, http: httpx.Client) -> None:
        last = {"Last-Event-ID": str(self._seqs[-1])} if self._seqs else {}
        with http.stream("GET", self._url, headers=self._headers | last) as response:
            if response.status_code in (NOT_FOUND, 204):
                self._has_ended = True  # deleted, or told to the end
                return
            if response.status_code != 200:
                return
            for name, seq in _events(response.iter_lines()):
                if name == "end":
                    self._has_ended = True
                    return
                self._seqs.append(seq)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, int]]:
    """The name and the id of each event that came whole."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
            continue
        if "data" in fields:
            seq = int(fields.get("id", -1))
            assert fields["event"] == "end" or json.loads(fields["data"])["seq"] == seq
            yield fields["event"], seq
        fields = {}
