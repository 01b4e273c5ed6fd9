"""Local copies of files of a remote store, the least lately used removed beyond a size."""

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.artifacts.store import ArtifactStore, unavailable

# A file that was asked for lately may be about to be opened, whatever the cache's size.
KEPT_AT_LEAST_S = 600.0
PARTIAL_SUFFIX = ".partial"
PARTIAL_LIFETIME_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FileCache:
    """Only for files whose name says what is in them, so that a copy never grows old."""

    folder: Path
    max_bytes: int

    def path_of(self, store: ArtifactStore, key: str) -> Path:
        """A local file of the size that the store has, fetched unless it is there.

        Raises FileNotFoundError where the store has none, though a copy may still be here, and
        ARTIFACTS_UNAVAILABLE.
        """
        size_bytes = store.size_bytes(key)
        path = self.folder / key.rpartition("/")[2]
        try:
            if path.stat().st_size == size_bytes:
                _use(path)
                return path
        except FileNotFoundError:
            pass
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size_bytes)
            self._fetch(store, key, path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unavailable(f"{self.folder} did not take a copy of {key}", error) from error
        return path

    def _fetch(self, store: ArtifactStore, key: str, path: Path) -> None:
        partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
        try:
            with store.open(key) as source, partial.open("xb") as target:
                shutil.copyfileobj(source, target, 2**20)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, size_bytes: int) -> None:
        now = time.time()
        files = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process removes them too
                files.append((path.stat(), path))
        total = size_bytes + sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda each: each[0].st_atime):
            is_partial = path.name.endswith(PARTIAL_SUFFIX)
            age_s = now - (status.st_mtime if is_partial else status.st_atime)
            if age_s < (PARTIAL_LIFETIME_S if is_partial else KEPT_AT_LEAST_S):
                continue
            if is_partial or total > self.max_bytes:
                path.unlink(missing_ok=True)
                total -= status.st_size


def _use(path: Path) -> None:
    """The time of access is ours to set: many file systems are mounted without it."""
    status = path.stat()
    os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
