"""An artifact store behind a URL: an object store, or whatever else fsspec reaches."""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from fsspec import AbstractFileSystem
from obstore.exceptions import BaseError

from service.artifacts.store import unavailable
from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import MANIFEST_FILE

ERRORS = (BaseError, OSError, ValueError, NotImplementedError)


class RemoteFolder:
    """`root` is the path of the URL as the file system has it; `secrets` never stand in a message."""

    def __init__(
        self,
        filesystem: AbstractFileSystem,
        *,
        root: str,
        url: str,
        secrets: Collection[str] = (),
    ) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self._url = url.rstrip("/")
        self._secrets = secrets

    def uri(self, key: str) -> str:
        return f"{self._url}/{key}"

    def key_of(self, uri: str) -> str | None:
        key = uri.removeprefix(f"{self._url}/")
        is_below = key not in (uri, "") and not {"", ".", ".."} & set(key.split("/"))
        return key if is_below else None

    def is_here(self) -> bool:
        return True

    def local_path(self, key: str) -> None:  # noqa: ARG002 there is none of any key
        return None

    def put_file(self, source: Path, key: str) -> None:
        what = f"{self.uri(key)} was not written"
        with self._answering(what):
            expected = source.stat().st_size
            try:
                self._filesystem.put_file(str(source), self._path(key))
            except FileNotFoundError as error:  # of the bucket
                raise unavailable(what, error, secrets=self._secrets) from None
            size_bytes = self._filesystem.info(self._path(key))["size"]
        if size_bytes != expected:
            raise DriftgateError(
                ErrorCode.ARTIFACTS_UNAVAILABLE,
                f"{self.uri(key)} has {size_bytes:,} bytes in place of {expected:,}. Something else "
                "writes there.",
            )

    def put_folder(self, source: Path, key: str) -> None:
        paths = (path for path in sorted(source.rglob("*")) if path.is_file())
        names = [path.relative_to(source).as_posix() for path in paths]
        for name in (*(each for each in names if each != MANIFEST_FILE), MANIFEST_FILE):
            self.put_file(source / name, f"{key}/{name}")

    def size_bytes(self, key: str) -> int:
        with self._answering(f"{self.uri(key)} cannot be looked at"):
            found = self._filesystem.info(self._path(key))
        if found["type"] != "file":
            raise FileNotFoundError(self.uri(key))
        return int(found["size"])

    def open(self, key: str) -> BinaryIO:
        with self._answering(f"{self.uri(key)} cannot be read"):
            file = self._filesystem.open(self._path(key), "rb")
        return cast("BinaryIO", io.BufferedReader(_RemoteFile(self, key, file)))

    def has_folder(self, key: str) -> bool:
        return bool(self.names(key))

    def names(self, key: str) -> list[str]:
        with self._answering(f"{self.uri(key)} cannot be listed"), suppress(FileNotFoundError):
            paths = self._filesystem.ls(self._path(key), detail=False)
            return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)
        return []

    def remove_file(self, key: str) -> None:
        with self._answering(f"{self.uri(key)} was not removed"), suppress(FileNotFoundError):
            self._filesystem.rm_file(self._path(key))

    def remove_folder(self, key: str) -> None:
        with self._answering(f"{self.uri(key)} was not removed"):
            paths = self._filesystem.find(self._path(key))
            for path in sorted(paths, key=lambda each: not each.endswith(f"/{MANIFEST_FILE}")):
                with suppress(FileNotFoundError):
                    self._filesystem.rm_file(path)
            # Folders of their own, which object stores do not have.
            with suppress(FileNotFoundError):
                self._filesystem.rm(self._path(key), recursive=True)

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except ERRORS as error:
            # Without the cause, which may show a secret.
            raise unavailable(what, error, secrets=self._secrets) from None

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


class _RemoteFile(io.RawIOBase):
    """A file of the store whose errors are those of the store."""

    def __init__(self, folder: RemoteFolder, key: str, file: BinaryIO) -> None:
        super().__init__()
        self._folder = folder
        self._key = key
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # any buffer is one
        what = f"{self._folder.uri(self._key)} cannot be read"
        with self._folder._answering(what):  # noqa: SLF001 the same module's
            piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
