"""Writes that wait on disk, in their order, until the database is back.

A record of the file is its length and its CRC-32, four bytes each, then the name of its type, a line feed, and JSON. The file is for this process alone: what it
holds lies after the attempt's last committed checkpoint, so the next attempt computes it again and drops the file
(`remove_spools`). That is why nothing here is synced to disk.
"""

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter

from service.jobs.records import (
    AttemptEvent,
    CheckpointRecord,
    EvaluationRecord,
    GradientFidelityRecord,
    PromptOverlapRecord,
    ReverseKlRecord,
    SampleBatchRecord,
    UpdateRecord,
)
from service.jobs.state import JobPhase

SPOOL_FILE = "spool.bin"
HEADER = struct.Struct("<II")

# Written as soon as it is recorded; updates come in batches.
Single = (
    EvaluationRecord
    | SampleBatchRecord
    | PromptOverlapRecord
    | ReverseKlRecord
    | GradientFidelityRecord
    | CheckpointRecord
    | JobPhase
    | AttemptEvent
)
Write = UpdateRecord | Single

# Tuples of one, because a dataclass cannot be told how to write infinities.
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(
        tuple[kind],  # type: ignore[valid-type]
        config=ConfigDict(
            ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64"
        ),
    )
    for kind in get_args(Write)
}


class SpoolDamagedError(Exception):
    """The disk gave back something else than was written: the attempt has to be done again."""


class Spool:
    """A queue in a file: appended at its end, read from its start, removed when it is empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._start = 0  # of the oldest record
        self._end = 0
        self.num_waiting = 0

    def append(self, write: Write) -> None:
        """Raises OSError, and then nothing was appended."""
        if self._file is None:
            self._file = FileIO(self._path, "w+")
        kind = type(write).__name__
        payload = kind.encode() + b"\n" + ADAPTERS[kind].dump_json((write,))
        record = HEADER.pack(len(payload), zlib.crc32(payload)) + payload
        self._file.seek(self._end)
        if self._file.write(record) != len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end += len(record)
        self.num_waiting += 1

    def read(self) -> Iterator[Write]:
        """Oldest first; they stay until they are dropped. Raises SpoolDamagedError."""
        position = self._start
        for _ in range(self.num_waiting):
            length, checksum = self._header(position)
            payload = self._bytes(position + HEADER.size, length)
            if zlib.crc32(payload) != checksum:
                raise self._damaged(position)
            kind, _, text = payload.partition(b"\n")
            (write,) = ADAPTERS[kind.decode()].validate_json(text)
            yield write
            position += HEADER.size + length

    def drop(self, num_records: int) -> None:
        """The oldest so many, which have been written."""
        for _ in range(num_records):
            length, _ = self._header(self._start)
            self._start += HEADER.size + length
            self.num_waiting -= 1
        if self.num_waiting == 0 and self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)
            self._file, self._start, self._end = None, 0, 0

    def _header(self, position: int) -> tuple[int, int]:
        length, checksum = HEADER.unpack(self._bytes(position, HEADER.size))
        if position + HEADER.size + length > self._end:
            raise self._damaged(position)
        return length, checksum

    def _bytes(self, position: int, length: int) -> bytes:
        assert self._file is not None
        self._file.seek(position)
        found = self._file.read(length)
        if len(found) != length:
            raise self._damaged(position)
        return found

    def _damaged(self, position: int) -> SpoolDamagedError:
        return SpoolDamagedError(f"{self._path} is damaged at byte {position}")


def remove_spools(job_dir: Path, *, before_epoch: int) -> None:
    """Those of the job's earlier attempts. One that still runs keeps its open file and is fenced when it writes."""
    for path in job_dir.glob(f"*/{SPOOL_FILE}"):
        if path.parent.name.isdecimal() and int(path.parent.name) < before_epoch:
            with suppress(OSError):
                path.unlink()
