"""Watchers of jobs: each follows one job's stream of events, and goes on after the last one where it breaks."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import grpc
import httpx

from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from tests.chaos.history import Watch
from tests.chaos.transports import grpc_channel

# The server says something at least every 15 s.
READ_TIMEOUT_S = 20.0
RECONNECT_S = 0.2
NOT_FOUND = 404
TOLD_TO_THE_END = 204


class BrokenStreamError(Exception):
    """The server is away, stopped, or was killed in the middle."""


class EventStream(Protocol):
    def follow(self, job_id: str, *, after_seq: int) -> Iterator[int]:
        """Seqs of what comes after one, until the job has ended or is deleted. Raises BrokenStreamError."""
        ...


class RestStream:
    def __init__(self, url: str, *, api_key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"}

    def follow(self, job_id: str, *, after_seq: int) -> Iterator[int]:
        headers = self._headers | ({"Last-Event-ID": str(after_seq)} if after_seq else {})
        url = f"{self._url}/v1/jobs/{job_id}/events:stream"
        timeout = httpx.Timeout(5.0, read=READ_TIMEOUT_S)
        try:
            with (
                httpx.Client(timeout=timeout, trust_env=False) as http,
                http.stream("GET", url, headers=headers) as response,
            ):
                if response.status_code in (NOT_FOUND, TOLD_TO_THE_END):
                    return
                for name, seq in _events(response.iter_lines()):
                    if name == "end":
                        return
                    yield seq
        except httpx.HTTPError as error:
            raise BrokenStreamError from error
        raise BrokenStreamError


class GrpcStream:
    def __init__(self, port: int, *, api_key: str) -> None:
        self._port = port
        self._metadata = [("authorization", f"Bearer {api_key}")]

    def follow(self, job_id: str, *, after_seq: int) -> Iterator[int]:
        request = jobs_pb2.StreamEventsRequest(job_id=job_id, after_seq=after_seq)
        with grpc_channel(self._port) as channel:
            stub = jobs_pb2_grpc.JobServiceStub(channel)
            try:
                for answer in stub.StreamEvents(request, metadata=self._metadata):
                    yield answer.event.seq
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise BrokenStreamError from error


class Watcher(threading.Thread):
    def __init__(self, name: str, job_id: str, stream: EventStream, *, stop: threading.Event):
        super().__init__(name=name, daemon=True)
        self._job_id = job_id
        self._stream = stream
        self._stop_asked = stop
        self._seqs: list[int] = []
        self._has_ended = False

    def run(self) -> None:
        while not self._stop_asked.is_set():
            with suppress(BrokenStreamError):
                after_seq = self._seqs[-1] if self._seqs else 0
                for seq in self._stream.follow(self._job_id, after_seq=after_seq):
                    self._seqs.append(seq)
                self._has_ended = True
                return
            self._stop_asked.wait(RECONNECT_S)

    def watched(self) -> Watch:
        return Watch(self.name, self._job_id, tuple(self._seqs), self._has_ended)


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
