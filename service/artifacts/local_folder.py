"""An artifact store that is a folder of this host, or one that several hosts share."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.artifacts.store import unavailable
from service.jobs.checkpoint_manifest import MANIFEST_FILE
from service.synced_files import sync

# What file systems without hard links answer, and two of them.
NOT_LINKED = frozenset({errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """`root` is resolved. What lies outside is never read: no link below it is followed."""

    root: Path

    def uri(self, key: str) -> str:
        return str(self.root / key)

    def key_of(self, uri: str) -> str | None:
        path = Path(uri).resolve() if uri.startswith("/") else self.root
        if path == self.root or not path.is_relative_to(self.root):
            return None
        return path.relative_to(self.root).as_posix()

    def is_here(self) -> bool:
        return os.path.isdir(self.root / "jobs")  # noqa: PTH112 one that cannot be looked at is none

    def local_path(self, key: str) -> Path:
        return self.root / key

    def put_file(self, source: Path, key: str) -> None:
        path = self.root / key
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
        with _taken(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _link_or_copy(source, aside)
                aside.replace(path)
                sync(path.parent)
            finally:
                aside.unlink(missing_ok=True)

    def put_folder(self, source: Path, key: str) -> None:
        if source != self.root / key:
            raise ValueError(f"{source} is not {self.root / key}, where a checkpoint is written")

    def size_bytes(self, key: str) -> int:
        path = self.root / key
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or path.resolve() != path:
            raise _no_regular_file()
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, "this host may not read it")
        return status.st_size

    def open(self, key: str) -> BinaryIO:
        path = self.root / key
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        if path.resolve() != path:
            file.close()
            raise _no_regular_file()
        return file

    def has_folder(self, key: str) -> bool:
        path = self.root / key
        return os.path.isdir(path) and path.resolve() == path  # noqa: PTH112 as `is_here`

    def names(self, key: str) -> list[str]:
        try:
            return sorted(os.listdir(self.root / key))  # noqa: PTH208 the names are wanted
        except FileNotFoundError:
            return []

    def remove_file(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)

    def remove_folder(self, key: str) -> None:
        """Of a link, the link."""
        path = self.root / key
        with suppress(FileNotFoundError):  # what another removes meanwhile is gone all the same
            if path.is_symlink():
                path.unlink()
            elif path.exists():
                if path.is_dir():
                    (path / MANIFEST_FILE).unlink(missing_ok=True)
                shutil.rmtree(path)


@contextmanager
def _taken(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unavailable(f"The artifact store did not take {path}", error) from error


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NOT_LINKED:
            raise
        shutil.copyfile(source, target)
        sync(target)


def _no_regular_file() -> OSError:
    return OSError(errno.ELOOP, "it is no regular file")
