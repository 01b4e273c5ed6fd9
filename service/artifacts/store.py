"""What an artifact store does, whichever it is: files by key, and folders of them."""

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

from service.errors import DriftgateError, ErrorCode
from service.secret_values import without_secrets

# Of a disk that is full, beyond its quota, broken, or may not be written.
DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES}
)
MAX_REASON_CHARACTERS = 500
RETRY_AFTER_S = 10.0


class ArtifactStore(Protocol):
    """Keys are names with slashes between them, such as `jobs/ID/1/step-2/config.json`.

    A folder counts from its manifest on, which is written last and removed first. Threads may share a store.
    FileNotFoundError is raised for what is not there, another OSError for what is there and cannot be read, and
    ARTIFACTS_UNAVAILABLE where the store does not answer, refuses, or is full.
    """

    def uri(self, key: str) -> str:
        """What a row says of the place."""
        ...

    def key_of(self, uri: str) -> str | None:
        """None for a place that is not in this store."""
        ...

    def is_here(self) -> bool:
        """Whether this host reaches the jobs' folders; false of a local folder that only another host has."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Where the key's file or folder is, or would be, for a store that is a folder of this host."""
        ...

    def put_file(self, source: Path, key: str) -> None:
        """Whole, or not at all. `source` is left where it is."""
        ...

    def put_folder(self, source: Path, key: str) -> None:
        """`source` is a folder with a manifest, at `local_path` where there is one."""
        ...

    def size_bytes(self, key: str) -> int:
        """Of a file."""
        ...

    def open(self, key: str) -> BinaryIO:
        """The file for reading, from wherever it is sought to; only what is read is fetched."""
        ...

    def has_folder(self, key: str) -> bool:
        """Whether anything is there, a manifest or not."""
        ...

    def names(self, key: str) -> list[str]:
        """Of the files and folders directly in the folder; none where there is no such folder."""
        ...

    def remove_file(self, key: str) -> None:
        """Also where it is gone already."""
        ...

    def remove_folder(self, key: str) -> None:
        """Also where it is gone already."""
        ...


def unavailable(what: str, error: Exception, *, secrets: Iterable[str] = ()) -> DriftgateError:
    """ARTIFACTS_UNAVAILABLE: `what` did not work, and the first line of the reason without a secret in it."""
    text = getattr(error, "strerror", None) or str(error)
    lines = text.strip().splitlines() or [type(error).__name__]
    reason = without_secrets(lines[0], secrets)[:MAX_REASON_CHARACTERS].rstrip(". ")
    return DriftgateError(
        ErrorCode.ARTIFACTS_UNAVAILABLE, f"{what}: {reason}.", retry_after_s=RETRY_AFTER_S
    )
